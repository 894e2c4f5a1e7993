import DVAEWeb
import ArgumentParser
import DVAEKit
import DVAEPreparation

/// A threshold, or `off`.
struct Threshold<Value: ExpressibleByArgument & Encodable>: ExpressibleByArgument {
  let json: JSONValue

  init?(argument: String) {
    if argument == "off" {
      json = .null
    } else if let value = Value(argument: argument), (value as? Double)?.isFinite != false,
      let json = try? JSONValue(parsing: jsonText(value), path: "the command line")
    {
      self.json = json
    } else {
      return nil
    }
  }
}

/// On or off.
enum Toggle: String, ExpressibleByArgument, CaseIterable {
  case on
  case off

  var json: JSONValue { .bool(self == .on) }
}

extension FilterSettings.Preset: ExpressibleByArgument {}
extension SourceSettings.Format: ExpressibleByArgument {}
extension SourceSettings.CaptionChoice: ExpressibleByArgument {}
extension SourceSettings.Header: ExpressibleByArgument {}
extension SourceSettings.Layout: ExpressibleByArgument {}
extension ImageSettings.Resize: ExpressibleByArgument {}
extension ImageSettings.Encoding: ExpressibleByArgument {}

/// The filters and their thresholds.
struct FilterOptions: ParsableArguments {
  @Option(help: "The filters to begin with.")
  var preset = FilterSettings.Preset.dalle

  @Option(
    help: ArgumentHelp(
      "A JSON object of filters that replace those of the preset, such as {\"min_words\": 5}.",
      valueName: "file"), completion: .file())
  var config: String?

  @Option(help: "Pairs must have a caption.")
  var requireCaption: Toggle?

  @Option(help: ArgumentHelp("Fewest words of a caption.", valueName: "n|off"))
  var minWords: Threshold<Int>?

  @Option(help: ArgumentHelp("Most words of a caption.", valueName: "n|off"))
  var maxWords: Threshold<Int>?

  @Option(
    help: ArgumentHelp("The language of captions.", valueName: "en|off"),
    completion: .list(["en", "off"]))
  var language: Threshold<String>?

  @Option(
    help: ArgumentHelp(
      "Largest share of a caption that may be dates, camera names and the like.",
      valueName: "share|off"))
  var maxBoilerplate: Threshold<Double>?

  @Option(help: "Cut phrases such as 'stock photo' from the ends of captions.")
  var cropBoilerplate: Toggle?

  @Option(help: "Drop captions that begin or end with phrases such as 'profile photo'.")
  var dropBoilerplateEnds: Toggle?

  @Option(help: ArgumentHelp("Least different words per word.", valueName: "share|off"))
  var minUnique: Threshold<Double>?

  @Option(
    help: ArgumentHelp(
      "Largest share of repeats of the most frequent word.", valueName: "share|off"))
  var maxRepetition: Threshold<Double>?

  @Option(
    help: ArgumentHelp(
      "Largest share of words in capitals or with a digit.", valueName: "share|off"))
  var maxCapitals: Threshold<Double>?

  @Option(help: "Captions must begin with a capital letter.")
  var requireCapital: Toggle?

  @Option(help: "Captions must have a determiner.")
  var requireDeterminer: Toggle?

  @Option(help: "Captions must have a preposition.")
  var requirePreposition: Toggle?

  @Option(
    help: "Captions must have a noun (a build with the trait PartOfSpeech only; see the funnel).")
  var requireNoun: Toggle?

  @Option(
    help: ArgumentHelp(
      "Formats of images, separated by commas: jpeg, png, webp.", valueName: "list|off"),
    completion: .list(ImageFormat.allCases.map { $0.rawValue.lowercased() } + ["off"]))
  var types: String?

  @Option(help: ArgumentHelp("Fewest pixels of the shorter side.", valueName: "n|off"))
  var minSide: Threshold<Int>?

  @Option(
    help: ArgumentHelp("Largest longer side divided by the shorter.", valueName: "ratio|off"))
  var maxAspect: Threshold<Double>?

  @Option(help: "Drop images whose bytes came before.")
  var exactDuplicates: Toggle?

  @Option(
    help: ArgumentHelp(
      "Drop images whose 64-bit perceptual hash differs from an earlier one's in so many bits or "
        + "fewer.", valueName: "bits|off"))
  var nearDuplicates: Threshold<Int>?

  /// Returns the preset, overridden by the file's filters, then by the flags.
  func settings() throws -> FilterSettings {
    var settings = FilterSettings(preset)
    if let config {
      let json = try InputFile.contents(of: config, limit: InputFile.settingsLimit)
      settings = try settings.overlaid(json, path: config)
    }
    return try settings.overlaid(jsonText(.object(flags)), path: "the command line")
  }

  private var flags: [Key: JSONValue] {
    let given: [String: JSONValue?] = [
      "require_caption": requireCaption?.json, "min_words": minWords?.json,
      "max_words": maxWords?.json, "language": language?.json,
      "max_boilerplate": maxBoilerplate?.json, "crop_boilerplate": cropBoilerplate?.json,
      "drop_boilerplate_ends": dropBoilerplateEnds?.json, "min_unique": minUnique?.json,
      "max_repetition": maxRepetition?.json, "max_capitals": maxCapitals?.json,
      "require_capital": requireCapital?.json, "require_determiner": requireDeterminer?.json,
      "require_preposition": requirePreposition?.json, "require_noun": requireNoun?.json,
      "types": types.map { types in
        types == "off"
          ? .null : .array(types.split(separator: ",").map { .string($0.lowercased()) })
      },
      "min_side": minSide?.json, "max_aspect": maxAspect?.json,
      "exact_duplicates": exactDuplicates?.json, "near_duplicates": nearDuplicates?.json,
    ]
    return given.reduce(into: [:]) { members, filter in members[filter.key] = filter.value }
  }
}

/// The options for reading sources.
struct SourceOptions: ParsableArguments {
  @Option(help: "The form of the sources; auto decides by the name and the first line.")
  var format = SourceSettings.Format.auto

  @Option(help: "The caption of YFCC100M rows.")
  var caption = SourceSettings.CaptionChoice.title

  @Option(help: "Whether the first row of tables names the columns.")
  var header = SourceSettings.Header.auto

  @Option(
    help: ArgumentHelp(
      "The column of the caption: a name, or a number from 1 without header.", valueName: "column"))
  var captionColumn: String?

  @Option(help: ArgumentHelp("The column of the image's address or path.", valueName: "column"))
  var imageColumn: String?

  @Option(help: ArgumentHelp("The column of the licence.", valueName: "column"))
  var licenceColumn: String?

  @Option(
    help: ArgumentHelp(
      "The folder that the images of tables are in (default: the table's).", valueName: "folder"),
    completion: .directory)
  var images: String?

  @Option(
    help: ArgumentHelp(
      "Where YFCC100M's images are in that folder: IDENTIFIER.jpg, the bucket's "
        + "data/images/HHH/HHH/HASH.jpg, or SLIP's images/AA/BBB.zip."))
  var layout: SourceSettings.Layout?

  @Option(
    help: ArgumentHelp(
      "Take only the photos of YFCC100M in this list of line number, identifier and hash.",
      valueName: "file"), completion: .file())
  var subset: String?

  var settings: SourceSettings {
    var settings = SourceSettings()
    settings.format = format
    settings.caption = caption
    settings.header = header
    settings.captionColumn = captionColumn
    settings.imageColumn = imageColumn
    settings.licenceColumn = licenceColumn
    settings.images = images
    settings.layout = layout
    settings.subset = subset
    return settings
  }
}

/// The options for writing images.
struct PrepareImageOptions: ParsableArguments {
  @Option(help: "Reduce images whose longer side has more pixels than this.")
  var maxSide: Int?

  @Flag(help: "Crop to the middle square first.")
  var square = false

  @Option(help: "The filter for reducing images.")
  var resize = ImageSettings.Resize.lanczos

  @Option(help: "The output for unchanged images: their own bytes, or a new JPEG.")
  var encoding = ImageSettings.Encoding.keep

  @Option(help: "Quality of the JPEGs that are written, 1 to 100.")
  var quality = ImageSettings().quality

  @Option(help: "Refuse image files of more bytes.")
  var maxBytes = ImageSettings().maxBytes

  @Option(help: "Refuse images that claim more pixels than this.")
  var maxPixels = ImageSettings().maxPixels

  func validate() throws {
    if maxSide == nil {
      try CommandWords.refuse(
        "--resize", reason: "is the filter for --max-side, which is not given")
    }
    if maxSide == nil, !square, encoding == .keep {
      try CommandWords.refuse(
        "--quality", reason: "is for --max-side, --square and --encoding jpeg, and none is given")
    }
  }

  var settings: ImageSettings {
    var settings = ImageSettings()
    settings.maxSide = maxSide
    settings.square = square
    settings.resize = resize
    settings.encoding = encoding
    settings.quality = quality
    settings.maxBytes = maxBytes
    settings.maxPixels = maxPixels
    return settings
  }
}

/// The options for fetching images over HTTP.
struct FetchOptions: ParsableArguments {
  @Option(help: "Fetches at a time.")
  var connections = FetchSettings().connections

  @Option(help: "Fetches from one host at a time.")
  var perHost = FetchSettings().perHost

  @Option(
    help: ArgumentHelp(
      "Seconds between the beginnings of two fetches from one host.", valueName: "seconds"))
  var hostDelay = FetchSettings().hostDelay

  @Option(
    help: ArgumentHelp(
      "The User-Agent header (default: this program and its version); some servers require a contact address.",
      valueName: "text"))
  var userAgent: String?

  @Flag(help: "Take also images that their server's X-Robots-Tag keeps out of data sets.")
  var ignoreRobotsTag = false

  @Option(help: ArgumentHelp("Time limit of a connection in seconds.", valueName: "seconds"))
  var connectTimeout = FetchSettings().connectTimeout

  @Option(help: ArgumentHelp("Time limit of an image in seconds.", valueName: "seconds"))
  var timeout = FetchSettings().timeout

  @Option(help: "Retries after a temporary failure.")
  var retries = FetchSettings().retries

  @Option(help: "Redirections to follow.")
  var redirects = FetchSettings().redirects

  @Flag(help: "Fetch from this machine and from private networks, too.")
  var allowPrivateAddresses = false

  var settings: FetchSettings {
    var settings = FetchSettings()
    settings.connections = connections
    settings.perHost = perHost
    settings.hostDelay = hostDelay
    settings.userAgent =
      userAgent ?? "\(WebRequest.programName)/\(DVAE.version) (dvae prepare)"
    settings.heedsRobotsTag = !ignoreRobotsTag
    settings.connectTimeout = connectTimeout
    settings.timeout = timeout
    settings.retries = retries
    settings.redirects = redirects
    settings.allowPrivate = allowPrivateAddresses
    return settings
  }
}
