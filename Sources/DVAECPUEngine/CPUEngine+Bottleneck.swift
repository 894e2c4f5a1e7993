import CDVAEKernels
package import DVAETensors

// The wide softmaxes of the bottleneck, the likelihood, and the optimizer.

extension CPUEngine {
  package func softmaxChannels(_ logits: Tensor) -> Tensor {
    let y = makeTensor(logits.shape)
    let k = logits.shape.channels
    team.run(logits.shape.positions) { p, _ in
      kernels.softmax(logits.pointer + p * k, Int32(k), y.pointer + p * k)
    }
    return y
  }

  package func gumbelSoftmax(
    _ logits: Tensor, noise: GumbelNoise<Tensor>, temperature: Double
  ) -> Tensor {
    let y = makeTensor(logits.shape)
    let k = logits.shape.channels
    let (kernels, temperature) = (kernels, Float(temperature))
    team.run(logits.shape.positions) { p, _ in
      let at = p * k
      switch noise {
      case .uniform(let u):
        kernels.gumbel_softmax(
          logits.pointer + at, u.pointer + at, 0, 0, 0, temperature, Int32(k), y.pointer + at)
      case .seeded(let seed, let stream, let first):
        kernels.gumbel_softmax(
          logits.pointer + at, nil, seed, stream, first + UInt64(at), temperature, Int32(k),
          y.pointer + at)
      }
    }
    return y
  }

  package func klToUniform(_ logits: Tensor) -> Double {
    let k = logits.shape.channels
    return orderedSum(logits.shape.positions, task: 16) { range in
      var sum = 0.0
      for p in range { sum += kernels.kl(logits.pointer + p * k, Int32(k)) }
      return sum
    }
  }

  /// dℓ of the relaxed sample and of the KL term, written over dy.
  package func gumbelSoftmaxBackward(
    _ dy: Tensor, y: Tensor, logits: Tensor, temperature: Double, klScale: Double
  ) -> Tensor {
    precondition(
      dy.shape == y.shape && y.shape == logits.shape,
      "gumbelSoftmaxBackward: \(dy.shape), \(y.shape), \(logits.shape)")
    let k = logits.shape.channels
    let (temperature, klScale) = (Float(temperature), Float(klScale))
    team.run(logits.shape.positions) { p, _ in
      let at = p * k
      kernels.gumbel_softmax_backward(
        dy.pointer + at, y.pointer + at, logits.pointer + at, temperature, klScale, Int32(k))
    }
    return dy
  }

  package func logitLaplaceLoss(_ statistics: Tensor, target: Tensor) -> Double {
    let colours = checkedColours(statistics, target)
    return orderedSum(target.shape.positions, task: 1024) { range in
      kernels.logit_laplace(
        statistics.pointer + range.lowerBound * 2 * colours,
        target.pointer + range.lowerBound * colours, range.count, Int32(colours))
    }
  }

  package func logitLaplaceLossBackward(
    _ statistics: Tensor, target: Tensor, scale: Double
  ) -> Tensor {
    let colours = checkedColours(statistics, target)
    let d = makeTensor(statistics.shape)
    team.runChunks(of: target.shape.positions, size: 1024) { range in
      let at = range.lowerBound
      kernels.logit_laplace_backward(
        statistics.pointer + at * 2 * colours, target.pointer + at * colours, range.count,
        Int32(colours), Float(scale), d.pointer + at * 2 * colours)
    }
    return d
  }

  package func adamWStep(
    parameters: TensorSlice, gradients: TensorSlice, firstMoment: TensorSlice,
    secondMoment: TensorSlice, average: TensorSlice, _ step: AdamWStep<Double>
  ) {
    let count = parameters.count
    precondition(
      [gradients, firstMoment, secondMoment, average].allSatisfy { $0.count == count },
      "adamWStep: arenas of different lengths")
    var constants = [Float](repeating: 0, count: DVAE_ADAMW_COUNT)
    constants[DVAE_ADAMW_STEP] = Float(step.learningRate / step.correction1)
    constants[DVAE_ADAMW_DECAY] =
      Float(1 - step.learningRate * Double(step.weightDecay))
    constants[DVAE_ADAMW_BETA1] = step.beta1
    constants[DVAE_ADAMW_BETA2] = step.beta2
    constants[DVAE_ADAMW_CORRECTION2] = Float(1 / step.correction2.squareRoot())
    constants[DVAE_ADAMW_EPSILON] = step.epsilon
    constants[DVAE_ADAMW_AVERAGE] = step.averageDecay
    constants[DVAE_ADAMW_GRADIENT_SCALE] = Float(step.gradientScale)
    team.runChunks(of: count, size: elementwiseTask) { range in
      let at = range.lowerBound
      kernels.adamw(
        parameters.pointer + at, gradients.pointer + at, firstMoment.pointer + at,
        secondMoment.pointer + at, average.pointer + at, range.count, constants)
    }
  }

  package func sumOfSquares(_ x: TensorSlice) -> Double {
    orderedSum(x.count, task: elementwiseTask) { range in
      kernels.sum_of_squares(x.pointer + range.lowerBound, range.count)
    }
  }

  /// Sums per-task values in task order, so that the total does not depend on threads.
  private func orderedSum(_ count: Int, task size: Int, _ body: (Range<Int>) -> Double) -> Double {
    let tasks = (count + size - 1) / size
    return withUnsafeTemporaryAllocation(of: Double.self, capacity: max(tasks, 1)) { partial in
      team.run(tasks) { task, _ in
        partial[task] = body(task * size..<min(count, (task + 1) * size))
      }
      return partial[..<tasks].reduce(0, +)
    }
  }

  private func checkedColours(_ statistics: Tensor, _ target: Tensor) -> Int {
    let colours = target.shape.channels
    precondition(
      statistics.shape == target.shape.with(channels: 2 * colours),
      "logitLaplaceLoss: statistics \(statistics.shape) for target \(target.shape)")
    return colours
  }
}
