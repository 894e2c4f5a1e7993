import DVAEFiles
import DVAETensors
import DVAEWeights

/// The tensors of a file under the model's names, before they become parameters.
struct FoundWeights {
  private let file: WeightsFile
  /// The tensors by the model's name.
  private var tensors: [String: StoredTensor] = [:]
  /// Tensors that belong to neither encoder nor decoder, or whose name is taken.
  private var strangers: [String] = []
  private let halves: [ModelHalf]

  init(_ file: WeightsFile, expecting expected: ModelHalf?) throws(DVAEError) {
    self.file = file
    let names = WeightNames.ordered(file.tensors.map { WeightNames.official($0.name) })
    var official = Array(zip(names, file.tensors))
    let prefixes = WeightNames.prefixes(of: official.map(\.0))
    if let prefix = prefixes.first?.text, !prefix.isEmpty || prefixes.count > 1 {
      guard prefixes.count == 1 else { throw .severalModels(file, prefixes: prefixes) }
      // Other tensors of a training checkpoint do not belong to the model.
      official = official.compactMap { name, tensor in
        name.hasBytePrefix(prefix)
          ? (String(decoding: Array(name.utf8.dropFirst(prefix.utf8.count)), as: UTF8.self), tensor)
          : nil
      }
    }
    let bare = official.filter { WeightNames.half(of: $0.0) == nil }
    let firstLayer = bare.first { $0.0 == "blocks.input.w" }?.1
    var bareHalf = Self.half(ofFirstLayer: firstLayer)
    let named = Set(official.compactMap { WeightNames.half(of: $0.0) })
    if named.isEmpty {
      guard let half = bareHalf ?? expected else {
        throw DVAEError(
          .badData, file: file.path,
          expected: firstLayer == nil
            ? "a dVAE's tensors (blocks.input.w, …)" : "a 7×7 or 1×1 convolution as blocks.input.w",
          found: firstLayer.map { "one of shape \($0.shape)" }
            ?? listing(file.tensors.map(\.name))
            + (file.others.first.map { ", and tensors that are not read, such as \($0)" } ?? ""))
      }
      bareHalf = half
    }
    let present = named.union(bareHalf.map { [$0] } ?? [])
    halves = ModelHalf.allCases.filter(present.contains)
    if let expected, !present.contains(expected), let found = halves.first {
      throw .wrongHalf(path: file.path, expected: expected, found: found)
    }
    for (name, tensor) in official {
      let prefix = WeightNames.half(of: name) == nil ? bareHalf.map { $0.rawValue + "." } : ""
      guard let prefix, tensors.updateValue(tensor, forKey: prefix + name) == nil else {
        strangers.append(tensor.name)
        continue
      }
    }
  }

  /// The encoder begins with a 7×7 convolution, the decoder with a 1×1.
  private static func half(ofFirstLayer weights: StoredTensor?) -> ModelHalf? {
    guard let weights, weights.shape.count == 4 else { return nil }
    return weights.shape[3] == 7 ? .encoder : weights.shape[3] == 1 ? .decoder : nil
  }

  /// Returns the architecture, read from the first and last layers' shapes and the blocks' names.
  func architecture() throws(DVAEError) -> Architecture {
    var missing: [String] = []
    func shape(_ name: String) -> [Int] {
      if let tensor = tensors[name], tensor.shape.count == 4 { return tensor.shape }
      missing.append(name)
      return [0, 0, 0, 0]
    }
    let standard = Architecture.released
    var (hidden, vocabulary, initial) = (standard.hidden, standard.vocabulary, standard.initial)
    var (inputs, outputs): (Int?, Int?)
    if halves.contains(.decoder) {
      let (first, last) = (shape("decoder.blocks.input.w"), shape("decoder.blocks.output.conv.w"))
      (initial, vocabulary) = (first[0], first[1])
      (outputs, hidden) = (last[0] / 2, last[1])
    }
    if halves.contains(.encoder) {
      let (first, last) = (shape("encoder.blocks.input.w"), shape("encoder.blocks.output.conv.w"))
      (hidden, inputs) = (first[0], first[1])
      vocabulary = last[0]
    }
    guard missing.isEmpty else {
      throw .mismatch(path: file.path, ParameterMismatch(missing: missing, unread: file.others))
    }
    do {
      return try Architecture(
        hidden: hidden, blocksPerGroup: blocksPerGroup, vocabulary: vocabulary, initial: initial,
        inputChannels: inputs ?? outputs ?? standard.inputChannels,
        outputChannels: outputs ?? inputs ?? standard.outputChannels)
    } catch { throw .architecture(path: file.path, error) }
  }

  /// The largest N among the names `half.blocks.group_G.block_N`.
  private var blocksPerGroup: Int {
    tensors.keys.reduce(1) { largest, name in
      let parts = name.split(separator: ".")
      guard parts.count > 3, parts[2].hasPrefix("group_"), parts[3].hasPrefix("block_") else {
        return largest
      }
      return max(largest, Int(parts[3].dropFirst("block_".count)) ?? 0)
    }
  }

  /// Returns the parameters of the encoder and decoder that the file holds, checked against the
  /// plan.
  func parameters(
    _ architecture: Architecture
  ) throws(DVAEError) -> [ModelHalf: ParameterSet] {
    var mismatch = ParameterMismatch(unexpected: strangers, unread: file.others)
    var rest = tensors
    var found: [(ModelHalf, [(String, StoredTensor)])] = []
    for half in halves {
      var parameters: [(String, StoredTensor)] = []
      for (name, shape) in architecture.plan(half).parameterShapes {
        guard let tensor = rest.removeValue(forKey: name) else {
          mismatch.missing.append(name)
          continue
        }
        let type = tensor.elementType
        guard tensor.shape == shape, type.isFloatingPoint else {
          mismatch.misshapen.append(
            type.isFloatingPoint
              ? "\(name) is \(tensor.shape), expected \(shape)"
              : "\(name) is \(type.rawValue) \(tensor.shape), expected floating point \(shape)")
          continue
        }
        parameters.append((name, tensor))
      }
      found.append((half, parameters))
    }
    mismatch.unexpected += rest.values.map(\.name)
    mismatch.unexpected.sort()
    guard mismatch.isEmpty else { throw .mismatch(path: file.path, mismatch) }
    var sets: [ModelHalf: ParameterSet] = [:]
    for (half, parameters) in found {
      sets[half] = ParameterSet(
        parameters: parameters.map { name, stored in
          Parameter(name: name, shape: stored.shape, values: stored.tensor().all)
        }, arena: nil)
    }
    return sets
  }
}
