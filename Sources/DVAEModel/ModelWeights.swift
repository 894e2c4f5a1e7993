package import DVAEFiles
package import DVAEWeights

/// The parameters in weights files, and the architecture inferred from their shapes.
///
/// Loading is strict: every parameter must exist with its shape, and nothing else may. Float32 is
/// not copied: the parameters are the mapped file.
package struct ModelWeights: Sendable {
  /// The architecture inferred from the shapes.
  ///
  /// If the encoder or decoder is missing, its values are the defaults, with the other's channels.
  package let architecture: Architecture
  /// The encoder's parameters; nil if the files hold none.
  package let encoder: ParameterSet?
  /// The decoder's parameters; nil if the files hold none.
  package let decoder: ParameterSet?

  /// Reads one file: the encoder, the decoder, or both under the prefixes `encoder.` and
  /// `decoder.`.
  ///
  /// - Parameters:
  ///   - file: weights with the official names or those of Hugging Face's FLAVA
  ///   - half: the part that the file must hold; nil accepts any
  /// - Throws: `DVAEError` that lists every mismatch
  package init(
    _ file: WeightsFile, expecting half: ModelHalf? = nil
  ) throws(DVAEError) {
    let found = try FoundWeights(file, expecting: half)
    let architecture = try found.architecture()
    let sets = try found.parameters(architecture)
    self.init(architecture: architecture, encoder: sets[.encoder], decoder: sets[.decoder])
  }

  /// Joins an encoder file with a decoder file.
  ///
  /// - Throws: `DVAEError` that lists every mismatch, or if the two files belong to models of
  ///   different sizes.
  package init(
    encoder encoderFile: WeightsFile, decoder decoderFile: WeightsFile
  ) throws(DVAEError) {
    let encoder = try ModelWeights(encoderFile, expecting: .encoder)
    let decoder = try ModelWeights(decoderFile, expecting: .decoder)
    let (a, b) = (encoder.architecture, decoder.architecture)
    for (name, left, right) in [
      ("n_hid", a.hidden, b.hidden),
      ("n_blk_per_group", a.blocksPerGroup, b.blocksPerGroup),
      ("vocab_size", a.vocabulary, b.vocabulary),
    ] where left != right {
      throw .disagreement(
        encoder: encoderFile.path, decoder: decoderFile.path, name: name, left, right)
    }
    do {
      let architecture = try Architecture(
        hidden: a.hidden, blocksPerGroup: a.blocksPerGroup, vocabulary: a.vocabulary,
        initial: b.initial, inputChannels: a.inputChannels, outputChannels: b.outputChannels)
      self.init(
        architecture: architecture, encoder: encoder.encoder, decoder: decoder.decoder)
    } catch { throw .architecture(path: decoderFile.path, error) }
  }

  private init(architecture: Architecture, encoder: ParameterSet?, decoder: ParameterSet?) {
    self.architecture = architecture
    self.encoder = encoder
    self.decoder = decoder
  }
}
