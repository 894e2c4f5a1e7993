package import DVAEModel
package import DVAEProgram
package import DVAETensors

/// Validation as programs for an accelerator, over inputs `average.…` of all parameters.
package enum EvaluationPrograms {
  /// Records the measures of a batch: inputs `images` (mapped pixels) and `numbers` (β); outputs
  /// `losses` (reconstruction, KL, the KL's weight), `tokens` and their `statistics`.
  package static func measures(_ architecture: Architecture, _ shape: Shape) throws -> Recording {
    let (recording, objective) = objective(architecture)
    let found = try objective.evaluate(
      recording.value("images", shape), beta: recording.scalars("numbers", count: 1)[0])
    recording.output(
      "losses", [found.parts.reconstruction, found.parts.kl, found.parts.klWeight])
    recording.output("tokens", found.tokens)
    recording.output("statistics", found.statistics)
    return recording
  }

  /// Records the pictures of a batch: inputs `images`, `numbers` (τ) and `noise`; outputs `soft`
  /// and `hard`, the statistics of a relaxed sample and of the most likely tokens.
  package static func pictures(_ architecture: Architecture, _ shape: Shape) throws -> Recording {
    let (recording, objective) = objective(architecture)
    let (soft, hard) = try objective.pictures(of: recording.value("images", shape)) { logits in
      objective.encoder.engine.gumbelSoftmax(
        logits, noise: .uniform(recording.uniform("noise", logits.shape)),
        temperature: recording.scalars("numbers", count: 1)[0])
    }
    recording.output("soft", soft)
    recording.output("hard", hard)
    return recording
  }

  private static func objective(
    _ architecture: Architecture
  ) -> (Recording, Objective<RecordingEngine>) {
    let recording = Recording()
    let parameters = Parameters([architecture.encoder, architecture.decoder]) { name, shape in
      recording.variable("average.\(name)", shape)
    }
    return (recording, Objective(architecture, parameters, engine: RecordingEngine(recording)))
  }
}
