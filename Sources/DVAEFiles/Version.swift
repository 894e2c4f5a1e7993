/// Facts about this package.
public enum DVAE {
  /// Its version.
  public static let version = "0.1.0"
}
