import ArgumentParser
import DVAECommands

@main
enum Main {
  static func main() { DVAECommand.main() }
}
