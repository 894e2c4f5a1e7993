// The modules of the types in the library's signatures, so that one import suffices.
@_exported public import DVAEEvaluation
@_exported public import DVAEFiles
@_exported public import DVAEImages
@_exported public import DVAEModel
@_exported public import DVAETokens
@_exported public import DVAETraining
