import ArgumentParser
import DVAECommands

@main
enum Main {
  static func main() async { await DVAECommand.main() }
}
