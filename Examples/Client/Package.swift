// swift-tools-version: 6.2
import PackageDescription

// A package that depends on this one, and on a system library that this one also uses.
let package = Package(
  name: "client",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "swift-dvae", path: "../..")],
  targets: [
    .systemLibrary(
      name: "CSQLite", pkgConfig: "sqlite3",
      providers: [.apt(["libsqlite3-dev"]), .brew(["sqlite"])]),
    .executableTarget(
      name: "client",
      dependencies: ["CSQLite", .product(name: "DVAEKit", package: "swift-dvae")]),
  ],
  swiftLanguageModes: [.v6]
)
