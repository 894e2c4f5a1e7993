import DVAEFiles

/// A result as JSON for programs: keys in snake case and alphabetical order, one line.
func reportText(_ value: some Encodable) throws -> String {
  String(decoding: try jsonText(value, .snakeCase), as: UTF8.self)
}
