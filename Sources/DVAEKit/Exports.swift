// What the library's own signatures speak of, so that one import is enough.
@_exported public import DVAEEvaluation
@_exported public import DVAEFiles
@_exported public import DVAEImages
@_exported public import DVAEModel
@_exported public import DVAETokens
@_exported public import DVAETraining
