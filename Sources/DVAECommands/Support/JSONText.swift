import DVAEFiles

/// Returns a result as one line of JSON, with sorted keys in snake case.
func reportText(_ value: some Encodable) throws -> String {
  String(decoding: try jsonText(value, .snakeCase), as: UTF8.self)
}
