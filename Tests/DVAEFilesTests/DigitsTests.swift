import DVAEFiles
import Testing

@Suite("Digits") struct DigitsTests {
  @Test("Numbers are padded, and never cut") func padding() {
    #expect(zeroPadded(42, 6) == "000042" && zeroPadded(1_234_567, 6) == "1234567")
    #expect(zeroPadded(UInt64.max, 16, radix: 16) == "ffffffffffffffff")
    #expect(zeroPadded(0xA, 4, radix: 16) == "000a" && zeroPadded(0, 0) == "0")
  }

  @Test(
    "Sizes have three digits and a unit, also where rounding adds a digit",
    arguments: [
      (0, "0 bytes"), (999, "999 bytes"), (1000, "1.00 kB"), (9994, "9.99 kB"), (9996, "10.0 kB"),
      (99_960, "100 kB"), (999_499, "999 kB"), (999_500, "1.00 MB"), (1_590_000_000, "1.59 GB"),
      (3_000_000_000_000_000, "3000 TB"),
    ])
  func sizes(bytes: Int, text: String) { #expect(sizeText(bytes) == text) }

  @Test("Numbers in files have their lowest byte first, and counts their noun") func bytes() {
    #expect(UInt16(0x1234).littleEndianBytes == [0x34, 0x12])
    #expect((-2).littleEndianBytes == [0xFE] + [UInt8](repeating: 0xFF, count: 7))
    #expect(counted(1, "image") == "1 image" && counted(0, "image") == "0 images")
  }

  @Test("Half of a hash is the same from its text and from the bytes that were hashed")
  func halves() {
    // The hash of "abc" in FIPS 180-4.
    let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    #expect(HalfHash(text) == HalfHash(of: Array("abc".utf8)))
    #expect(HalfHash(text)?.high == 0xba78_16bf_8f01_cfea)
    #expect(HalfHash(text) != HalfHash(of: Array("abd".utf8)))
    // The second half of the half counts, too.
    #expect(HalfHash(text) != HalfHash(text.prefix(31) + "4" + text.dropFirst(32)))
    for wrong in ["", String(text.dropLast()), "+" + text.dropFirst(), text.dropLast() + "z"] {
      #expect(HalfHash(wrong) == nil)
    }
  }

  @Test("Hexadecimal digits are read in either case, and nothing else is one") func hexadecimals() {
    for byte in UInt8.min...(.max) {
      let text = String(UnicodeScalar(byte))
      // Int(_:radix:) would take a sign.
      let expected = byte < 0x80 && text != "+" && text != "-" ? UInt8(text, radix: 16) : nil
      #expect(byte.hexadecimalValue == expected)
      #expect(byte.isDigit == (expected.map { $0 < 10 } ?? false))
    }
    #expect(hexadecimal([0, 0x0F, 0xA0, 0xFF]) == "000fa0ff")
  }
}
