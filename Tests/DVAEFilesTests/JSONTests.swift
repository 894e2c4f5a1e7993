import DVAEFiles
import Foundation
import Testing

/// The JSON reader and writer.
@Suite struct JSONTests {
  private func value(_ text: String) throws(DVAEError) -> JSONValue {
    try JSONValue(parsing: Array(text.utf8), path: "a.json")
  }

  @Test(arguments: [
    ("null", JSONValue.null), (" true\n", .bool(true)), ("-0", .integer(0)),
    ("9223372036854775807", .integer(.max)), ("18446744073709551615", .unsigned(.max)),
    ("18446744073709551616", .digits("18446744073709551616")),
    ("0.1", .number(0.1)), ("1e2", .number(100)), ("1e400", .number(.infinity)),
    ("-Infinity", .number(-.infinity)), ("Infinity", .number(.infinity)),
    ("\"a\\u00e9\\ud83d\\ude00\\n\\/\"", .string("aé😀\n/")),
    // Unpaired surrogates, alone and before another escape.
    (#""\ud800""#, .string("\u{FFFD}")), (#""\udc00x""#, .string("\u{FFFD}x")),
    (#""\ud800\u0041""#, .string("\u{FFFD}A")),
    ("\u{FEFF}[1, {\"a\": []}]", .array([.integer(1), .object([Key("a"): .array([])])])),
    (#"{"a": 1, "a": 2}"#, .object([Key("a"): .integer(2)])),
  ])
  func isReadAsPythonReadsIt(_ text: String, _ expected: JSONValue) throws {
    #expect(try value(text) == expected)
  }

  @Test(arguments: [
    ("{\"a\": 1,\n \"b\": [1, 2,],\n}", "a comma before ']' at byte 20, in line 2"),
    ("{\"a\": 1,\n}", "a comma before '}' at byte 7"), ("[1 2]", "no ']' at byte 3"),
    ("[1,\n2,\n", "an end in place of a value at byte 7, in line 3"),
  ])
  func mistakesAreFoundByTheirPlace(_ text: String, _ place: String) {
    let error = #expect(throws: DVAEError.self) { try value(text) }
    #expect(error?.problem == "is not JSON: " + place)
  }

  @Test(arguments: [20, 38, 39, 309, 5000])
  func longIntegersAreWrittenExactly(_ count: Int) throws {
    for sign in ["", "-"] {
      let digits = sign + String(repeating: "7", count: count)
      #expect(try jsonText(value(digits)) == Array(digits.utf8))
    }
  }

  @Test func numbersAreWrittenAsFoundationWritesThem() throws {
    let numbers = [
      0, 1, -2.5, 0.1, 1e15, 1e16, 1e17, -1e100, .leastNonzeroMagnitude,
      .greatestFiniteMagnitude, 1 / 3, 1e-4,
      9007199254740992, 123456.789e3,
    ]
    for number in numbers {
      #expect(try jsonText(.number(number)) == jsonText(number), "\(number)")
    }
  }

  /// Keys that `String` takes for equal are two keys, in the order of their bytes.
  @Test func equivalentKeysArePreserved() throws {
    let text = "{\"e\u{301}\":1,\"\u{E9}\":{\"b\":[],\"c\":{}}}"
    #expect(try jsonText(value(text)) == Array(text.utf8))
  }

  @Test func differencesAreFoundByBytes() throws {
    let old = try value("{\"a\":{\"b\":\"\u{E9}\",\"c\":1},\"d\":[1]}")
    let new = try value("{\"a\":{\"b\":\"e\u{301}\",\"c\":1},\"e\":[1]}")
    #expect(new.differences(from: old).map(\.name) == ["a.b", "d", "e"])
  }

  @Test func notANumberIsRead() throws {
    guard case .number(let number) = try value("NaN") else { throw CocoaError(.coderInvalidValue) }
    #expect(number.isNaN)
  }

  @Test(arguments: [
    "", "01", "1.", ".5", "+1", "1e", "tru", "nan", "[1,]", "{\"a\" 1}", "{a: 1}", "[1 2]", "\"a",
    "\"\\x\"", "\"\\u12g4\"", "\"\t\"", "1 2", "'a'", "[", "{\"a\":1,}",
  ])
  func everythingElseIsRefused(_ text: String) {
    let error = #expect(throws: DVAEError.self) { try value(text) }
    #expect(error?.code == .malformed && error?.description.contains("at byte") == true)
  }

  @Test func nestingIsBounded() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(throws: Never.self) { try value(nested(JSONReader.deepest)) }
    #expect(throws: DVAEError.self) { try value(nested(JSONReader.deepest + 1)) }
    #expect(throws: DVAEError.self) { try value(String(repeating: "[{\"a\":", count: 1_000_000)) }
  }

  /// Numbers are preserved exactly, and the output is JSON for any input.
  @Test func valuesAreWrittenAsTheyWere() throws {
    let text = #"{"a":[0.1,123456789012345678901234567890,-3,1e-07],"b":"\n\u001f/","c":null}"#
    #expect(try jsonText(value(text)) == Array(text.utf8))
    #expect(try jsonText(value("[NaN,1e400]")) == Array("[null,null]".utf8))
    #expect(try jsonText(value("[-0.0,-2.5e-400]")) == Array("[-0.0,-0.0]".utf8))
  }

  @Test func stringsAreWrittenAsFoundationWritesThem() throws {
    let scalars = (0..<0x250).compactMap(Unicode.Scalar.init).map(Character.init)
    let text = String(scalars) + "\u{2028}😀"
    #expect(try jsonString(text) == jsonText(text))
  }

  /// Wrong values are named by their path, which begins with the key that a reader asks for.
  @Test func wrongValuesAreNamed() throws {
    struct Inner: Decodable { var b: [Int] }
    struct Outer: Decodable { var a: Inner }
    for (text, path, problem) in [
      (#"{"a": {"b": [1, "x"]}}"#, "a.b.Index 1", "must be a number"),
      (#"{"a": {}}"#, "a", "lacks the key 'b'"), (#"{"a": null}"#, "a", "must have a value"),
      ("{}", "", "lacks the key 'a'"), ("{", "", "is damaged"),
    ] {
      let found = try #require(throws: JSONMismatch.self) {
        try decodedJSON(Outer.self, text.utf8)
      }
      #expect(found.path == path && found.description.contains(problem), "\(text): \(found)")
      #expect(found.isBelow("a") == !path.isEmpty && !found.isBelow("aa"))
    }
    #expect(try decodedJSON(Outer.self, #"{"a": {"b": [1]}}"#.utf8).a.b == [1])
  }
}
