// swift-tools-version: 6.2
import PackageDescription

// One list of settings for every Swift target: Swift 6 mode, strict concurrency, warnings are errors.
let swiftSettings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]

func module(
  _ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []
) -> Target {
  .target(
    name: name, dependencies: dependencies, resources: resources, swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: name, dependencies: dependencies + ["DVAETestSupport"], swiftSettings: swiftSettings)
}

/// A target of C with every warning an error.
func c(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(
    name: name, dependencies: dependencies,
    cSettings: [.enableWarning("all"), .treatAllWarnings(as: .error)])
}

/// A C library of the system, found by pkg-config.
func system(_ name: String, _ pkgConfig: String, apt: String, brew: String) -> Target {
  .systemLibrary(
    name: name, pkgConfig: pkgConfig, providers: [.apt([apt]), .brew([brew])])
}

let argumentParser: Target.Dependency = .product(
  name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "swift-dvae",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "DVAEKit", targets: ["DVAEKit"]),
    .executable(name: "dvae", targets: ["dvae"]),
  ],
  traits: [
    .trait(name: "MPI", description: "Training by several processes; needs Open MPI."),
    .trait(
      name: "LanguageDetection",
      description: "dvae prepare tells languages by CLD2 (Debian's libcld2-dev)."),
    .trait(
      name: "PartOfSpeech",
      description: """
        dvae prepare tells nouns by link-grammar (Debian's liblink-grammar-dev and \
        link-grammar-dictionaries-en).
        """),
    .trait(
      name: "Server",
      description: "dvae serve; needs libmicrohttpd (Debian's libmicrohttpd-dev)."),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
  ],
  targets: [
    // Level 0: C. Inner loops, and the system's libraries behind a few functions each. Every target of
    // this package has a prefix: two packages with a target of one name cannot be built together.
    c("CDVAEKernels"),
    c("CDVAEPJRT"),
    c("CDVAEImageCodecs", ["CDVAEJPEG", "CDVAEPNG", "CDVAEWebP"]),
    c("CDVAEWebFetch", ["CDVAECurl", "CDVAEZLib"]),
    system("CDVAEJPEG", "libjpeg", apt: "libjpeg-dev", brew: "jpeg-turbo"),
    system("CDVAEPNG", "libpng", apt: "libpng-dev", brew: "libpng"),
    system("CDVAEWebP", "libwebp", apt: "libwebp-dev", brew: "webp"),
    system("CDVAECurl", "libcurl", apt: "libcurl4-openssl-dev", brew: "curl"),
    system("CDVAECrypto", "libcrypto", apt: "libssl-dev", brew: "openssl"),
    system("CDVAEZLib", "zlib", apt: "zlib1g-dev", brew: "zlib"),
    system("CDVAEMicroHTTPD", "libmicrohttpd", apt: "libmicrohttpd-dev", brew: "libmicrohttpd"),
    system("CDVAEMPI", "ompi-c", apt: "libopenmpi-dev", brew: "open-mpi"),
    system("CDVAESQLite", "sqlite3", apt: "libsqlite3-dev", brew: "sqlite"),
    .systemLibrary(name: "CDVAEBZip2", providers: [.apt(["libbz2-dev"]), .brew(["bzip2"])]),
    .target(
      name: "CDVAELanguage",
      cxxSettings: [
        .define("DVAE_LANGUAGE_DETECTION", .when(traits: ["LanguageDetection"])),
        .enableWarning("all"), .treatAllWarnings(as: .error),
      ],
      linkerSettings: [.linkedLibrary("cld2", .when(traits: ["LanguageDetection"]))]),
    .target(
      name: "CDVAEGrammar",
      cSettings: [
        .define("DVAE_PART_OF_SPEECH", .when(traits: ["PartOfSpeech"])),
        .enableWarning("all"), .treatAllWarnings(as: .error),
      ],
      linkerSettings: [.linkedLibrary("link-grammar", .when(traits: ["PartOfSpeech"]))]),
    // One library of the system. Hummingbird in its place would bring about 15 packages, and minutes to a
    // cold build.
    .target(
      name: "CDVAEHTTPServer",
      dependencies: [.target(name: "CDVAEMicroHTTPD", condition: .when(traits: ["Server"]))],
      cSettings: [
        .define("DVAE_SERVER", .when(traits: ["Server"])),
        .enableWarning("all"), .treatAllWarnings(as: .error),
      ]),
    // Level 1: the floor.
    module(
      "DVAEFiles",
      [
        "CDVAEZLib",
        .target(name: "CDVAECrypto", condition: .when(platforms: [.linux, .android])),
      ]),
    // Level 2: numbers; files of web servers.
    module("DVAETensors", ["DVAEFiles"]),
    module("DVAEWeb", ["CDVAEWebFetch", "DVAEFiles"]),
    // Level 3: engines, accelerators and recorded programs; pictures and weights from untrusted bytes.
    module("DVAECPUEngine", ["CDVAEKernels", "DVAEFiles", "DVAETensors"]),
    module("DVAEProgram", ["DVAEFiles", "DVAETensors"]),
    module("DVAEImages", ["CDVAEImageCodecs", "CDVAEKernels", "DVAEFiles", "DVAETensors"]),
    module("DVAEWeights", ["DVAEFiles", "DVAETensors"]),
    // Level 4: the network; accelerators, which run recorded programs.
    module("DVAEAccelerator", ["CDVAEPJRT", "DVAEFiles", "DVAEProgram"]),
    module("DVAEModel", ["DVAEFiles", "DVAETensors", "DVAEWeights"]),
    // Level 5: token files, figures, training and its data, and pages of results.
    module(
      "DVAETokens",
      ["DVAEFiles", "DVAEImages", "DVAEModel", "DVAETensors", "DVAEWeights"]),
    module("DVAEEvaluation", ["DVAEFiles", "DVAEImages", "DVAEModel", "DVAETensors"]),
    module(
      "DVAETraining",
      [
        "DVAEAccelerator", "DVAEFiles", "DVAEImages", "DVAEModel", "DVAEProgram", "DVAETensors",
        "DVAEWeights",
      ]),
    module(
      "DVAEDeviceModel",
      [
        "DVAEAccelerator", "DVAEFiles", "DVAEImages", "DVAEModel", "DVAEProgram", "DVAETensors",
      ]),
    module("DVAEReports", ["DVAEFiles", "DVAEImages", "DVAETensors"]),
    module(
      "DVAEPreparation",
      [
        "CDVAEBZip2", "CDVAEGrammar", "CDVAELanguage", "CDVAESQLite", "DVAEFiles", "DVAEImages",
        "DVAETensors", "DVAEWeb",
      ]),
    // Level 6: what people import.
    module(
      "DVAEKit",
      [
        "DVAECPUEngine", "DVAEDeviceModel", "DVAEEvaluation", "DVAEFiles", "DVAEImages",
        "DVAEModel", "DVAEProgram", "DVAETensors", "DVAETokens", "DVAETraining", "DVAEWeights",
      ],
      resources: [.copy("Resources/starter.safetensors")]),
    // Level 7: the HTTP service.
    module(
      "DVAEServer",
      ["CDVAEHTTPServer", "DVAEFiles", "DVAEImages", "DVAEKit", "DVAEReports"],
      resources: [
        "openapi.json", "plane.jpg", "parrots.jpg", "page.html", "page.css", "page-state.js",
        "page-service.js", "page-pictures.js", "page-changes.js", "page-palette.js",
        "page-opening.js", "page-keeping.js", "page-events.js",
      ].map { .copy("Resources/" + $0) }),
    // Level 8: the command line.
    module(
      "DVAECommands",
      [
        "DVAEAccelerator", "DVAECPUEngine", "DVAEDeviceModel", "DVAEEvaluation", "DVAEFiles",
        "DVAEImages", "DVAEKit", "DVAEModel", "DVAEPreparation", "DVAEProgram", "DVAEReports",
        "DVAETensors", "DVAETokens",
        "DVAETraining", "DVAEWeb", "DVAEWeights",
        argumentParser,
        .target(name: "CDVAEMPI", condition: .when(traits: ["MPI"])),
        .target(name: "DVAEServer", condition: .when(traits: ["Server"])),
      ]),
    // Level 9: the program.
    .executableTarget(
      name: "dvae", dependencies: ["DVAECommands", argumentParser], swiftSettings: swiftSettings),
    // The second stage, an example and not a product: a transformer over tokens.
    .target(
      name: "DVAETransformer",
      dependencies: [
        "DVAECPUEngine", "DVAEFiles", "DVAEModel", "DVAETensors", "DVAETokens", "DVAETraining",
        "DVAEWeights",
      ],
      path: "Examples/NextToken/Transformer", swiftSettings: swiftSettings),
    // Level 10: the example's program.
    .executableTarget(
      name: "DVAENextToken",
      dependencies: [
        "DVAECPUEngine", "DVAEFiles", "DVAEImages", "DVAEKit", "DVAEModel", "DVAEReports",
        "DVAETokens", "DVAETransformer", argumentParser,
      ],
      path: "Examples/NextToken/Program", swiftSettings: swiftSettings),
    // Tests.
    .target(
      name: "DVAETestSupport",
      dependencies: [
        "DVAEAccelerator", "DVAECPUEngine", "DVAEFiles", "DVAEImages", "DVAEModel", "DVAETensors",
        "DVAETokens", "DVAEWeights",
      ],
      path: "Tests/DVAETestSupport", swiftSettings: swiftSettings),
    // A plugin of XLA whose calls fail on demand.
    .target(
      name: "CDVAEFailingPlugin", dependencies: ["CDVAEPJRT"], path: "Tests/CDVAEFailingPlugin",
      cSettings: [.enableWarning("all"), .treatAllWarnings(as: .error)]),
    tests("DVAEFilesTests", ["DVAEFiles"]),
    tests("DVAETensorsTests", ["DVAETensors"]),
    tests("DVAECPUEngineTests", ["DVAECPUEngine", "DVAEFiles", "DVAETensors"]),
    tests(
      "DVAEAcceleratorTests",
      ["DVAEAccelerator", "DVAEFiles", "DVAEProgram", "DVAETensors"]),
    tests("DVAEProgramTests", ["DVAEFiles", "DVAEProgram", "DVAETensors"]),
    tests("DVAEWebTests", ["DVAEFiles", "DVAEWeb"]),
    tests("DVAEWeightsTests", ["DVAEFiles", "DVAETensors", "DVAEWeights"]),
    tests("DVAEImagesTests", ["DVAEFiles", "DVAEImages", "DVAETensors"]),
    tests(
      "DVAEModelTests", ["DVAECPUEngine", "DVAEFiles", "DVAEModel", "DVAETensors", "DVAEWeights"]),
    tests(
      "DVAETokensTests", ["DVAEFiles", "DVAEImages", "DVAEModel", "DVAETokens", "DVAEWeights"]),
    tests(
      "DVAETrainingTests",
      [
        "CDVAEFailingPlugin", "CDVAEPJRT", "DVAEAccelerator", "DVAECPUEngine", "DVAEFiles",
        "DVAEImages", "DVAEModel", "DVAEProgram",
        "DVAETensors", "DVAETraining", "DVAEWeights",
      ]),
    tests("DVAEReportsTests", ["DVAEReports"]),
    tests("DVAEEvaluationTests", ["DVAEEvaluation", "DVAEFiles", "DVAEImages", "DVAEModel"]),
    tests(
      "DVAETransformerTests",
      [
        "DVAECPUEngine", "DVAEFiles", "DVAEImages", "DVAEModel", "DVAETensors", "DVAETokens",
        "DVAETransformer",
      ]),
    tests("DVAEServerTests", ["DVAEFiles", "DVAEImages", "DVAEKit", "DVAEServer"]),
    tests(
      "DVAEPreparationTests",
      ["DVAEFiles", "DVAEImages", "DVAEPreparation", "DVAETensors", "DVAEWeb"]),
    tests(
      "DVAEDeviceModelTests",
      [
        "DVAEDeviceModel", "DVAEFiles", "DVAEImages", "DVAEKit", "DVAEModel", "DVAEProgram",
        "DVAETokens",
      ]),
    tests("DVAEKitTests", ["DVAEFiles", "DVAEKit"]),
    tests(
      "DVAECommandsTests",
      [
        "DVAEAccelerator", "DVAECPUEngine", "DVAECommands", "DVAEFiles", "DVAEImages", "DVAEKit",
        "DVAEModel", "DVAEPreparation", "DVAEReports", "DVAETensors", "DVAETraining", "DVAEWeights",
      ]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)

// The fuzzing program, only where it is asked for: `make fuzz`. It is a target of this package, because it calls
// `package` declarations, which other packages cannot see.
if Context.environment["DVAE_FUZZ"] != nil {
  // With the sanitizers, the inner loops of each instruction set take minutes to compile.
  package.targets.first { $0.name == "CDVAEKernels" }?.cSettings?
    .append(.unsafeFlags(["-fno-sanitize=all"]))
  package.targets.append(
    .executableTarget(
      name: "DVAEFuzz",
      dependencies: [
        "CDVAEZLib", "DVAEFiles", "DVAEImages", "DVAEKit", "DVAEModel",
        "DVAEPreparation", "DVAEServer", "DVAETensors", "DVAETokens", "DVAETraining",
        "DVAETransformer", "DVAEWeb", "DVAEWeights",
      ],
      path: "Tests/Fuzz", exclude: ["Seeds"], swiftSettings: swiftSettings))
  package.products.append(.executable(name: "DVAEFuzz", targets: ["DVAEFuzz"]))
}
