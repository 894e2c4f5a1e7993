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

/// A C library of the system, found by pkg-config.
func system(_ name: String, _ pkgConfig: String, apt: String, brew: String) -> Target {
  .systemLibrary(
    name: name, pkgConfig: pkgConfig, providers: [.apt([apt]), .brew([brew])])
}

let argumentParser: Target.Dependency = .product(
  name: "ArgumentParser", package: "swift-argument-parser")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

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
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
  ],
  targets: [
    // Level 0: inner loops and memory.
    .target(
      name: "CDVAEKernels",
      cSettings: [.enableWarning("all"), .treatAllWarnings(as: .error)]),
    module("TensorModule"),
    system("CJPEG", "libjpeg", apt: "libjpeg-dev", brew: "jpeg-turbo"),
    system("CPNG", "libpng", apt: "libpng-dev", brew: "libpng"),
    system("CWebP", "libwebp", apt: "libwebp-dev", brew: "webp"),
    system("CCurl", "libcurl", apt: "libcurl4-openssl-dev", brew: "curl"),
    .target(
      name: "CWebFetch", dependencies: ["CCurl"],
      cSettings: [.enableWarning("all"), .treatAllWarnings(as: .error)]),
    system("CZLib", "zlib", apt: "zlib1g-dev", brew: "zlib"),
    system("CMPI", "ompi-c", apt: "libopenmpi-dev", brew: "open-mpi"),
    system("CSQLite", "sqlite3", apt: "libsqlite3-dev", brew: "sqlite"),
    .systemLibrary(name: "CBZip2", providers: [.apt(["libbz2-dev"]), .brew(["bzip2"])]),
    .target(
      name: "CLanguage",
      cxxSettings: [
        .define("DVAE_LANGUAGE_DETECTION", .when(traits: ["LanguageDetection"])),
        .enableWarning("all"), .treatAllWarnings(as: .error),
      ],
      linkerSettings: [.linkedLibrary("cld2", .when(traits: ["LanguageDetection"]))]),
    .target(
      name: "CGrammar",
      cSettings: [
        .define("DVAE_PART_OF_SPEECH", .when(traits: ["PartOfSpeech"])),
        .enableWarning("all"), .treatAllWarnings(as: .error),
      ],
      linkerSettings: [.linkedLibrary("link-grammar", .when(traits: ["PartOfSpeech"]))]),
    // Level 1: operations, weights, images, files of a job. These do not know each other.
    module("EngineModule", ["TensorModule"]),
    module("WeightFiles", ["CZLib", "TensorModule"]),
    module("ImagePipeline", ["CDVAEKernels", "CImageCodecs", "TensorModule"]),
    module("JobFiles", [crypto]),
    .target(
      name: "CImageCodecs", dependencies: ["CJPEG", "CPNG", "CWebP"],
      cSettings: [.enableWarning("all"), .treatAllWarnings(as: .error)]),
    // Level 2: the fast engine and the network.
    module("CPUBackend", ["CDVAEKernels", "EngineModule", "TensorModule"]),
    module("DVAEModel", ["EngineModule", "TensorModule", "WeightFiles"]),
    // Level 3: training, its data, and the façade that people import.
    module(
      "DVAETraining", ["DVAEModel", "EngineModule", "JobFiles", "TensorModule", "WeightFiles"]),
    module(
      "DataPreparation",
      [
        "CBZip2", "CGrammar", "CLanguage", "CSQLite", "CWebFetch", "ImagePipeline", "JobFiles",
        "TensorModule", "WeightFiles", crypto,
      ]),
    module(
      "DVAEKit",
      [
        "CPUBackend", "DVAEModel", "EngineModule", "ImagePipeline", "JobFiles", "TensorModule",
        "WeightFiles",
      ],
      resources: [.copy("Resources/starter.safetensors")]),
    // Level 4 and 5: the command line.
    module(
      "DVAECommands",
      [
        "CPUBackend", "DVAEKit", "DVAEModel", "DVAETraining", "DataPreparation", "EngineModule",
        "ImagePipeline", "JobFiles", "TensorModule", "WeightFiles", argumentParser, crypto,
        .target(name: "CMPI", condition: .when(traits: ["MPI"])),
      ]),
    .executableTarget(
      name: "dvae", dependencies: ["DVAECommands", argumentParser], swiftSettings: swiftSettings),
    // A proof that tokens serve their purpose; not a product.
    .executableTarget(
      name: "NextToken",
      dependencies: [
        "CPUBackend", "DVAEKit", "DVAEModel", "EngineModule", "TensorModule", argumentParser,
      ],
      path: "Examples/NextToken", swiftSettings: swiftSettings),
    // Tests.
    .target(
      name: "DVAETestSupport",
      dependencies: ["CPUBackend", "DVAEModel", "EngineModule", "TensorModule", "WeightFiles"],
      path: "Tests/DVAETestSupport", swiftSettings: swiftSettings),
    tests("EngineTests", ["CDVAEKernels", "CPUBackend", "EngineModule", "TensorModule"]),
    tests("WeightFilesTests", ["TensorModule", "WeightFiles"]),
    tests("ImagePipelineTests", ["ImagePipeline", "TensorModule"]),
    tests(
      "DVAEModelTests",
      ["CPUBackend", "DVAEModel", "DVAETraining", "EngineModule", "TensorModule", "WeightFiles"]),
    tests(
      "DVAETrainingTests",
      ["CPUBackend", "DVAEModel", "DVAETraining", "EngineModule", "TensorModule", "WeightFiles"]),
    tests(
      "DVAEKitTests",
      [
        "DVAECommands", "DVAEKit", "DVAEModel", "DVAETraining", "DataPreparation", "ImagePipeline",
        "JobFiles", "TensorModule", "WeightFiles",
      ]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)

// The documentation's builder, only where it is asked for: `make docs`.
if Context.environment["DVAE_DOCS"] != nil {
  package.dependencies.append(
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"))
}
