public import ArgumentParser

/// The discrete VAE of DALL·E: images to tokens and back.
public struct DVAECommand: AsyncParsableCommand {
  /// The command's name and subcommands.
  public static let configuration = CommandConfiguration(commandName: "dvae")

  /// Makes the command.
  public init() {}
}
