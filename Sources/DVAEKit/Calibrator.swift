import DVAEWeights
import DVAECPUEngine
import DVAEFiles
package import DVAEImages
package import DVAEModel
package import DVAETensors

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Calibrates int8: measures the ranges of an encoder's activations on photos.
package struct Calibrator {
  private let encoder: ImageEncoder<DefaultEngine>
  /// The calibration so far.
  package private(set) var calibration = Calibration()

  /// Prepares the encoder, in float32.
  ///
  /// - Parameters:
  ///   - weights: the weights of an encoder
  ///   - threads: the number of threads; one per core by default
  /// - Throws: if the weights have no encoder
  package init(_ weights: WeightsFiles, threads: Int? = nil) throws {
    guard let parameters = weights.model.encoder else {
      throw DVAEError(
        .missing, file: weights.files[0].path, "no encoder in there, and int8 is for encoding")
    }
    encoder = ImageEncoder(
      weights.model.architecture, parameters: parameters,
      engine: try DefaultEngine(threads: threads))
  }

  /// Includes a photo of any size.
  ///
  /// - Parameters:
  ///   - photo: a photograph, because synthetic images have other ranges
  ///   - preprocessing: applied first
  ///   - name: the photo's name in errors
  /// - Throws: if the image is too small
  package mutating func add(
    _ photo: PixelImage, _ preprocessing: Preprocessing = Preprocessing(), name: String
  ) throws {
    let picture = try preprocessing.apply(photo, name: name)
    calibration.formUnion(try encoder.calibration(mappedTensor([picture])))
  }
}

/// The photos for calibrating weights that bring no calibration of their own.
///
/// The four of `Examples/photos`, cut to squares and reduced to 64×64 pixels each, side by side in
/// one JPEG file: `Utilities/calibration_photos.py`.
package enum CalibrationPhotos {
  /// Calibrates an encoder on these photos.
  ///
  /// - Throws: only for an internal error
  package static func calibration(_ encoder: ImageEncoder<some HostEngine>) throws -> Calibration {
    guard let file = Data(base64Encoded: jpeg.filter { !$0.isWhitespace }) else {
      throw DVAEError(.internal, "the calibration photos are damaged")
    }
    let picture = try decodeImage(Array(file), name: "the calibration photos")
    return try encoder.calibration(mappedTensor([picture]))
  }

  private static let jpeg = """
    /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAQDAwMDAgQDAwMEBAQFBgoGBgUFBgwICQcKDgwPDg4MDQ0PERYTDxAVEQ0NEx
    oTFRcYGRkZDxIbHRsYHRYYGRj/2wBDAQQEBAYFBgsGBgsYEA0QGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgY
    GBgYGBgYGBgYGBgYGBgYGBj/wAARCACAAIADAREAAhEBAxEB/8QAHQAAAQQDAQEAAAAAAAAAAAAABwQFBggAAQMCCf/EAE
    EQAAEDAgQEAwQHBgQHAQAAAAECAwQFEQAGEiEHEzFBIlFhFHGBkQgjMkKSobEVFlJTYsEzcoLRFyVDRKLC8PH/xAAcAQAB
    BQEBAQAAAAAAAAAAAAAEAAIDBQYBBwj/xAA3EQACAgECBAMFBwMEAwAAAAABAgADEQQhBRIxQQYTUSJhcYGRBxQyscHR4S
    NC8BVSYqEWgvH/2gAMAwEAAhEDEQA/AJDHjNNx2yTa6R+mIASZG2BO+jc6HB8sdjImeYdUqx392HggRpBiNTrrJI1kYcAD
    OcxEbYQcS1MnKUQJU17fz0WR/wCuEBviOY7AzqXFnYLWR6DHcRuZyU4CdCQsq8sOAnMzlKjPiC6VIA8B6n0xzmEcAZr6WS
    k0nKtKZjNoYMh/SOWAm9gSb292OIciQ8O3Y5lahxSreXckysuUyPDSuQCRUk35rYVso73BVbYHtis1HCUv1A1DscDt2/8A
    kvEfC4xF8lL+UOAzMqW+8ioVEaWdayVlSxfa/QJRb4keeNNyijTZPUzLC86ziJRTlU/T9zB3QnZKpLpMh5RTZIHMUd7+/F
    WxwJp1GYTsuQX5APNfdC0JLmkqJv5flhlFXns4B6KT9JJc3kojEbEgQhIpsZqil1yQQeWFDfck9BiOioW8xY7KMx2qfyWV
    UGSTiROptEJUAtQ/1HAAcw7lGJF5rLpBIdcH+s4LrYwV1EtrGjKUw3daj4R+mCAZQsMxWI2jpfHM5jcRBVjIYjMOR1KC/a
    mUm2+pJWElPxvjscNzOc1qI0tr2krSXnQ0n/MQTb/xOHKx7TmAY9DKZp2XIUFUplb5dW79adCdbhKuWCdr+IAXte2IBaSx
    MnKZAjU/EXGlqiyGFMPJFy0tNjbzt3HqNsPzkZEYRjac1MJT4uWkYcDEYjmNkwnQdvAr9MdEb3nT6atAmSuHFCq0VoqYiS
    1NSFAbIS5pCSfIXTb44bQeog/DWAciURmLEpgyXNQcSoI0KsO3l5YI7S6HpHzMOba1nqpU9ysezhFOjKSEx29CbDcqKb2B
    JCRttsNsP1Goa3HN8IJw3hVOk5xVnfJOd+g/z6zpkyBHkZrjQhKQfadIdLgKQyoqsb+YA3uO2BdR+HIh9Wx3EsDVaQ3Ssy
    OSqnTRDlsJEJ6Il0BDjrQCXHCR0So2sB13OKg3NzlEOD3Pxkqs1lQRN1zkH8vpED+Z6bVJLdNdgsU23hQ+w4VJJ/qB6Yis
    FtY5lPN7p0JYm53jLX21QpLkZ1SStGxKeh9cPosFihhCg+VzIVUpbiToat6k4sax6wVzLlxUJ9mbAQi+lPQ+mJAZTMIq5X
    bSb4WY3EbquhsUzmrUQ2h1pwqQNRsHUnYd8NscqhYDJAklNZssVB3OPrI/Us15XlVmOmU9JiMMyA8VuM6wuyVJt4TdP2r3
    3xX08QsK71/Q/wATRajwxdTv5i59Oke8211ioQJbaVakurJSB5X2xaVIQQZnHPaQt+s1B+A1HfecWtk3bWpVyn1HlggIAc
    yMtkR/os9FTilt+6ZDY8VvvD+If3xG45YgAYpmxgILyrKtoVv8DhvNO8ksnmrI9MzrkSo5bqyNUWayWlm17X74DW3kbMqK
    3KMGE+ZHFHg5VeHnEt3J9TStxCnk+wzFK0B1parpJJ2vvv5EHFgjhxkTQ06gWJzCQ6kZflM1uv0eSyW5DcV1rxg3SsEH9R
    iO/Yr8Zc8Ow62n/gf0nbIEeP8A8UqfCqcj2WKZPJfeSnWWkK+0qw+1Yb29Mc1H4GEErOwdd4f84ZeiVGIxOpVWkz6VGqD7
    BlOABx1nWChagoEBRG+4tvii09yrqXRu4B/SSjnxjGCRBCnL8uVneRGjypS1uLDUNDadanTe11JtYXHUDYdtsXFl1SoWOw
    kKrYuMwlcR8vyKWpgyHWlvtR2mny2b/WBO98UvDjlOYdCTj4QmvdTAjVWpklbpYcUCi1kAbq3/ALYv6woG8HcnO0vNFQgM
    NmwvpT39McGZTnEXJUpA1Bdgnf3YRE4DGKosTadw4iNaFDmtt3S6khSRfUoflfCOCTJFJBgRzDJeTVJ0JZWC0841ttayiM
    GnidCAKu590lp8P6u4ebYQB1yTkxrr3EPM8WqyaWyzDjGK4WCS2XFHSdN7qNu3liyo0VbKGO+ZWvaQcSPrz5nHVq/afwDD
    dv0xP9yq/wBsYLT6yQ5N4o1mPm+AzVW48iO88lla0I5a0hR0322PUG1sDajQpyErJq3Od5YSalz2N5JAFkK6n0OKTAhAJz
    LfNoCUWxWSpRYN+MnCzLnErKAZq6o8KZFIXGqLwASyQei77FBvYi9zc2xPRYyGE1M1ZyJ8+83ZfVljiXKtMgVdrlht56DI
    S+0si1wpaT4rhIBVtfuAScT6lwVBHUbzY+HDzsRj2WBU+7P5RlkcKM10nOX7x0Og1KoZeUlVRj1CIyp5ppgp1lLqkiyFIB
    IVqt0uLgjEjnmX4yvS1a3NVhwynBHw2hhyDOXTITMKJPQFy1lp9MlAWzpPRSge9yenbGcvqVyS67AfPMtdX/VJcienc2M0
    ipuinQ6dGlKWWw9EjpBVv1BPQYIq4ZXdWzsSeXBwTAHXlZAc7yM5ucen5fW+44bly2lw+Mki+q3X44lTYjEOwAMQTxyh10
    pc2cG24tfFj0EC7y60RsGO2f6U/oMPzKIibqtSFFo0iqFgvmOnmBq19ZvsLeV7YfWgdwpOI6pSzABc+71gRrvGTN9Rqb66
    tDS3HdBRpDejYi1+nri1/wBPq5DyNmE2WqDiynl+BP6yXV3IL8qsVqrF5lmOqQXEIAJUrVpPuG6sef3a4LrVpA7iaunitV
    eg8kKS2CM9v5kdrPCmJV+JVUlSKs6mO++4+lEdsXCVOKsCpXe3pi21HjFtPWEorBxtkn9BMmvDBYcuY/wuCGS1ICXRUnD3
    V7VY/knGeu8ecTByvKP/AF/mFrwbTnrn6yJVPgpLgzvaYEaXHaafCkOqdS+goCgQVW8Sf7bYueH+Ozcy1XAEnbYEHJ9OoM
    jt4OqguhIxDDPSfY3iRfwK/Q4vZXSz+dc30vIeQqhmmr6lR4iLhtBsp1ZNkoHqTYfniuJAGTG8M0FuuvXT1DdpQXiPxdzb
    xMqbq67OW3TQ5qj0lhVmGR2JH31f1K+FhiY6iuoDHWW2i8J6/W2ONlVSRk5xkeg7weoKFS2g8QlnUAu19h3O2BbtWzqQom
    r0Xg6vRt5vmFnHpsP36wkZJ49oyLkbNGSMxUUV2nVOK5Gjy2HAh+OVI02KjcKbAsQOot1IOxGnvZkAIlRxXhlbkXqOVj1H
    vkIy7WUyKK3IbcGoJsodwR1wPYmGIj1cMoMX0qZBdkOOvpS6CCDq7b9sdAZQcd5GxDY90b8xM0z2dRjpdjgpKiEKtc2674
    cmcxrHaQEKjtDUlSrjfc3ODcEwXMu/BQTFaF/uJ/THZSEztKiNyktw3mua2+tLakkXFrjr6YRYrgiJCQcgz1U+GOWKlTHk
    Kp3s6y2qyo6ijex7bg/LHRqHHeWFestUYJyPfNT2WkZXW46pLz+qK4tKTbZSmiB8hiq+40NcLyvteu/aMFjAFc7ThDoiJk
    p6ogOBctZcAuPCkm4H54G1PBdNc2WJ+v8AEfXqnUbSSwcvNN2BW7f1titu8M6Z+jMPp+0nXXuvYRJnZmbRMmPS6XBdqUwq
    QlqI0kFa/ECoi+2ybn5eeIeGeFVq19d3m+ypycj3bdPfHX8RLUsvLuYKaLnhqv1KpUCZS5NMqMeOXktSBpLqCDc6eqSNtt
    7g3BxvLE5G5c5lYaH8oXf2n6j4iSn6W2dvbs20/I0N1fJprftMxINkqecAKAR30o3/ANeKLUv/AGielfZ5wkV0vrnH4th8
    B1+p2+UrRYE2sN8CZM9ENadAIkd/x9I79sSg7Sotr5X9nvI++L5ichqAs60padvvJxbaTDVETyrxajVasWCRyBWJNBrTqG
    C4qIpVy2rqB6e7piVqgww3WA1Xcy8ywmwP2VLpgmuLQrmi6VW6YEZmQ8sJUBvaMjdbDCdTaJLyb/cadKgr8V7e7BNbZ3xE
    4XESZbyrXM1Zkh0HL1PkVKqTHOWzFZ3Kj1PoAACSTYAAk4mznYQRiFGTCS7xAzip4o/eGoJCDYBtWiwHTYDFitKekomzCH
    wtzLm2v5ocVMqcqa3HQhSW3rFAUVbFQFj0SfjgXVIiKABH1ZzLNQo5kNt7XDgtfz7YriYQIMa3TmmaWilt85qr1EsEONIs
    pJQ2bix2JCWxa4B2xxT/AHdhJO+I/ZPYSvLMcom88JJQXAdKgR/Em+xPXy32xyw4M4N5L2WWYzTsyTMbaYjoK3nXVAJbSB
    clR7WG+IS2dsRe+Jm0NVZ1FRQdTDyLtKIKRyyL6t+l+p79PLEieyMTh3gX4uUHL9AS3nqE283mycsU2CpTylAsaTq1IVcH
    Si2/W6xg7TsXPKekic4GIEMx1qbX8xzq3U3S7MmvqfdVfuo3sPQbAegxnWJZiTPovT6evRaZNPWNgMfSNAUbaux2xyPVgR
    zRDPUppSXdJ0ggFVtgT2xJWMyl4jb5NgjXMQVZto76FWuXG1e4oJ/tix0LYDCYTxzWrVJaIw1oRV09V1JblRXjpAG60k7/
    AP3pgjkcWkjcGZPR3KEAaOFAlrap6m2WlOs9XGkndHqn0xBYQGw0sMGs+6bmzaS04VPBaVq3SOtx5jscTqj4B7GM81Gzg9
    IS+AnG2lcGs5yK5IynGq658cMIdckFl9hq91BokFJKiBquL+EC4F7rzGUnAziD2pz9DHJmj032hbjccrUOt3CLYsPMaVBE
    l2Squnh3WqnmZa4c+nOJSwqlR31GU6D4SoG1gbqv7gffga1WtOGMJ5qgihB7XeOFN4k8QcwGrw6RCqFFp0iQmPTqnKWdMF
    oEJdUu3iWSlJtpBsok4V2nqReZmztuPf7oq3GRkd5J+FlQm1/NtLgV6Q2+1Hkl1ioy3gXlrDDiQ2b/AGgEqTqUdhZIvfbG
    d0B1QL+aPZ/Xbp7pZa1aRjk6xyTnaJlSqVaHHpD06IZaiWG5SGW9NjYKJbXqFiPCCOl98XPklwDmVvMAZDXa1U6xk53L1X
    zHNiwVhT7VPZZDvOUFakslxKQdB2GonbrY2tibywrB1G8aHG4PSPkbibmaI8+2xl+C1EcuGoz8oq5SbeFBKUeJIJJ2te4v
    0w00D1nOeRLNtRn5pqsGrV4rXJgsFMdtpGhpq9ybAbEk9T3sMT1jywQveNJyd4GZjwB2O+M6in0n0DrdXX/uH1nJbgTB8J
    ubXwgpLdJG+qRaRhh9RJbmh6nvZBbdhIaaQpgEJRbsO/mbk/EnFbo67BqCGz1mA1+qfziztkgwcUt/2uown+gajuOK1e4J
    H6/ljVVaY1knMpPE/ERqNLUnfMYKm1qqboSg2J8sGCZmrPKJxhvv09QeY1JUnYbXv6HAllQsblaaXzl+7c/ukgRApeZiEo
    U3BlFB8C9k6wL3T5g9Ldb29+IvNv06+W2XXO2Bnc+sBpu0/I5cYOOvwkQqNFnw3Ly2HHYShu4x4uWf4gO2DKtQrAgDf3zj
    EsAAdp9xNKf4R8sO2gU1oQeqU/LHcCKZy0fwJ+WFiKa5TX8tHyGFgRTCy0f+kj8IwsCKa9nY/kt/hGFgRTPZ2P5Lf4RhYE
    U17NH/AJDf4RhYEU+P0WW6mQVEqUoH5YBxgSUt6wkZHy/Vs5VMRogU2w3bmu26eg9ccrpNrYEadoVKjwjXFpZU2p7WE9eo
    wRZoABsY5SRBG6zOptZehSkJS40qx93Y4rmUqeUybrvO7stafCTcHthoEWJpRQ8wSoDph4iIjhkGkNVTN64kkkNcvV78F6
    asO28gtO2JbzhqqkyKa5SHQkLbQNJJ9MXFYH4ZEF2j79IPiTI4Z8FplUpa0/tmY4mDTkKTqu4vcqt3skKPvtio5RcpQkgH
    02PyMkU8rAgSd5PiVKBkKjxKy7zak3DaEtfYvaQV29NROGaWpNLUtNecD1OT8zH3WG1y57x7vggPIsTL47zxYmXx3nixMv
    heYIsTL4XmCLEy4wvMEWJ8o2aC21EjtKT9a74lHvjMprDZc7k+ysHqs53Z26CWs4IZSh0jKTT0p5DTji+YUkAfDF1wzUl6
    +Y94WmXHOYXKrAgMUxb760crQd74uRYCN5KBKa5vaRKzxMeCdKSopT7gcZ+9suTJQMCR56A6uSlKApRPRKRc4j5gBkztdb
    2MEQZJ7DcxecvzxHH+Ag2vpW8lJwOddSpwT/1NLV4N4tYgcVYz6kA/SKaBHqNErbc7lBRQbLDawrbBNHEqAw9qCavwjxal
    eZqCR7iD+RhQy1nZin5rddU9obcbuFXt8MXlWoUtzA7TNPW9ZKOCD6HYyW8RxUOKP07crcP2QtVDyrGRVaonqgkqS7ZX+Y
    pjIA9VeRxXK6rVzGOUkZxLSg4g87O8bibvjounMTerDhdFiZqx3zRFiavjnmCLEy+F5oixMvhvnCLE+creWK1HzEhc6nri
    qSlK22JX1Klp66khVrj1xkrQ+nqWuwEcxydpWLVYqAEdessvwoapdPy+vNOan20pCiiNCKwvl9twOqji40digc7dB2lrU3
    MnNnEW59miXSF1OoOGnCT4IcNvZZT2uPXFgdSep2jzsMmVkzQz/wA/UpCVhJH2iLXPfA1l/tbxJbjrGz9k53eoUmr0ChOP
    0mMdEufrSmyrA6NzfoRsBvfDWpe/cdBN34c4npNBUHUf1Cdyew7Y93rH7LWU6hX8vR6qiquOhxtTqo7DSUlKkg2bGsiyiQ
    Bc2GHVcOWwAkzRarxRfQGZVz6D1nmXRatlWux5KpMGfHWiw57J2UU3KSLkKtf7QNiQcCanRrQ3rLThnGLddXlhy/PeNEth
    rklbrqFb30/Z/D/tgaixqWypkvGOH08XqKWjfse4P+doTJP0lMqZMzpUKoxlirNVGqLY9uqsWM2tMzSmyQVqVdRSCQBjNc
    I0vG9SnMurHf2WOSPlg7TyzVHQ1nlNZ+Qk7yp9JoZlflyqM9BnxGNK3YtSaVAcaCjpAS/dSCSq+ygN9r422n8zT1VVa8jz
    WyNuhI3/AClLZUljM2nzyj1hVo3GLKc+Q1CrC5GXZzlglmqpDaHD/Q8CW1fiB9MFmskZXeClCOsnqXULQFJUFJULgg3BHp
    iHmI2ixPWseeFzRcszUPPHeacxM1jzxzmneWeS6nHC07ymUe4fVf8AejgRT/2xCXUGWZbsRMpQUv2ZKCFo36NlXNWNRtqC
    R1sMXd1Fdq8ti5E6uGTDRxivuZJzDGmJaVKpbchIcZkr1aiRfUgWuAOnUncHviqHDKadQGTZG2I9D2MrdajadfPr7SW5jz
    HTzLcqj81NTq76AUAA8iC2RdKR/VbEGpCUMU5vaHX3SQaoMosG+YJ6sVyn1vuKCrH4n4YoLzax9mCva56QvcHZUGbwpn0d
    +Mh8M1FTzzK0gggpQpNx33Sfli54Sz+Xyk75mg4SQ1J5uoMrnSeKZ4d8VsxU5bapeX26k8kQmVpC2gpwnUi4sbC2xNvdjR
    8gO/ePo170kod1/L4Sa56zNlPMeWqXWMs1NuU284orSlBaW3YdFpv4VDpYj1Btio4igAGOs9E8M6kXliPw4kCVUNa03SCA
    dgSCL9uuKjlM17FANpLOImRnuGecaq7V4BfybLURTXiS8hKSb8p1SvvjpZXXqCcA8T4ZYzJ9xBDZ6/50x1njWn1NYU+dvI
    vkasZYpSqixAp8dg1EJ1sP3cjKKSdIUg328RuB6eWNK+hFj02WMS1ece/IwT8ZWrqCodVGzQlZbWaUyGnaWqXEfSUrZp8n
    XHTuf+3cNknp9kAfPBDICcqcfH9xGK5AwRn/AD3yY02vz6RRHVZYrFYoDSVpSqnykBTGoqAGlClGwJI+wRfyOGOcfjAPwk
    lVfmHC7fGE6BxYmRmYyKvS22dC9Lyo7nMStJ28OqxTv0BvtsfPCXSCz8Lb+hkL28n4l29YTYtVjTqe1LivBxl1IUhQ73/v
    gR1KEq3WTIgYcw6RPIrkSNUI0F+QG35WrkoIPj0i5/LCVGYFgNhHEIpCnvOEzMlKp6SqfVYUVI6l+Qhv9ThCtz0E6eQdTK
    P/AEZuJFE4a1rMdBzXXI0V6qvtIQp9ClNJKQpKipdtIvqHXbbfGhptDLzdjAaWXvCDnLNXDqvcWaLlTKBgTW3Y8lUsRAAg
    LOkpKQjwJX9s7drX7Yw/jx7dNoBq9OxVkYHI6fMS40KUX2/d7BkMCD/EJOVMnUvMnCyRT5LBj1yiPKbRJ02WppV1I19lAi
    438saHhT0cX0VOtrIJZeo6ZHUfLpMw+jOnsfTMCChOPgdwYHMyUMw6k6wHEtOfeSNhf09MBa7Q8hJXaQ2VFBkGNuUszz8o
    5k9uiEOIV9XIYJsl5F+nv8jig0/ELNLbnH8yHS8QfTuTjIPWDrMOXabWapUJCqYqLIkSFqb0O3CwSVA3G2wG9wLWxqK9f5
    rc1Z9k/wDU1XA6atdYwfpjb4yPQmolDjqpra+YhCypTlraz1N/y/LDNSTY3NPQeC+XoqfLPXqf5+ESzp7r8pDbL6WuYoJC
    gL7E9cMqqHQiO4jxB8FlbAlg5/E7ObtFkRpdSptSiPsrQ9EqFMTpVt0KQoBXuIwQbaVOO/znmGXldMyUidAqSX4dNTCHO5
    TqoalLj6iAQsJNy0m6tGkk79NtsGJYrKCO8ZPNH4kZiy5UHGXLSURlhDzRX0Ple1wT2xKqg7kRpJxsZMYH0lWXubGn5WaK
    RbQUKUv4KuN/fh9qhuiCNrDL1cxrq3HTiHVK4iLRKdRU091xpxlmTH5i1XULJKi4b3PoD6DEYRANxvJCzes7Zu405rnQpd
    Eo2d6jQ2Y0hxpZiOKjN8wXaWhPiN2za43vc32N8N5CGywzO82BgHEiFJ4qcSYVIkOV7NNfnQAQvnuSluqF9vCu+42G17Yd
    YoY4WNBx1iYpYzmpyrxX5Dy1OFLpfUTqVYbm/Q7j34jwy7NO5zCLH4YvZ3hVCqUuS03LjLS2qMoEc4rBIVcd9je/ljP8W8
    R08Gsqr1API2d/THu+cI03D31KsajuO0I/B3g3IyzXGq1W5YRIZXrbZZV4en3tvyGPPPGnjWnXaZtJpBkMMEn9P3l7wjg1
    lVouv2I6AfrCx+/n7lZsr6mlCWibGSlbKdi2tP2bjzsVfA4232dXMnhxSKyOQnc/3ZOSR7h0+UzPiC4UcUYk55gNh2x0zB
    lUqjOrFTXMkgIDpvYHp6YO1Oue8nMpLLWfrGqXESCdCCnfbFa1QbrBmWRjMZMeG0tLwSsuFCQDuSbC/uGL3SUBNL5me/8A
    M1nhZ+XVcgHUfmcSGSeelK0KQg6juVC979d8IPPTTpz2WcCyW34pUlACnUkAD1tscEV3DZRKbiHDnKPaduv0xJFmDOVNpt
    AefTFL7tglCVqNio9L/IYHo0zXWe0ZimcAbCNGUs2UpbUl2tPBuZ4Q6pJ1NLBKli3qm+ny2wRrqmJUJ0jayMbxozxKoUmv
    06o0+NHcCwtEt1lFlKunSkq89N7j3Ym0JdVIc/CMswTtGCJQKTWqQ+3KqiKe6EpLa9IXqVqNwR5dd/dgi681YwMxoGZqk5
    fay3UGqyqpxpbUFReSYxUla1pF0ixH8Vum+2HV3G3ticxCLxa4U0vKDsWiU4TFiswEVAiSdSo8gga97dCvex3GojA6avu0
    fYnKYyZcyf7NkpdFqylyEOIWFaAElCVdhe97G9jiK3W+1lROrXmOOXcr0fLMZ9uCxOPNKVLMpzXcjYEAAAbHET6uxz1xOi
    sSwPByiA5GXKQLyZ8or3IHgSNKbE+9R+OPKftHZrddXUG2VM495P57CaHgRAqZsd/yhUiRHIIUZF0kHoTcD498eU3Fm9kd
    Jp0wRmB3PM5bueZY0oRslJUPvAA2J+ePqH7MaV/8fqwc7t8t+n0nkviu0rxF9uw/KN6XY4isqWsoPM0bb3v093l8sW3HOE
    BF+81fMfr+8o9PqfMbkaIKzMbabOlQ28sZmusucQ0JzsFEgGa3pDEOFKdFkFxXxsAbY0SKPu/IOx/SangDLTrD7l/IiMT7
    qHEpebUohZuL4rmBnqNd4dREMqQtCQTcqQoEb+R7YcnWQapwayI5yaDHqMPkPIKmyRZtSwbn1udsTK5U5E8u5DEq8sU6O4
    loMpZUbFWnruOu+Hea53M55Z7zyMsQpQ0syVJIFx0Py/8A3DTay9YuQHoYkk5NQ2kLEhpwLva4BIPuvh63kxGvHeNL1Nmx
    ymImEp6JqUpXKAIPY4MquULuY0ocx6lV7OlaiU2PVKvLkiC2qPFcfWFPJbJBCVLO6rWFr3I6XwPYEJJAjiT3mMy6ykJSuQ
    4VJNiFAGxFv98DlF7Rgilysy0q088agPFqQL3whWJJtLHcG61S5WX1wW39DsNCXVBZACddwAN99h+Zx5d9pvCrauIJqR+G
    wAbdioHX6y68NakNSaj1Bz9SYUm5kWQ0Frkt2TskcwfM48nsrdP6aqZrayDvmAbifJQ1xFjtQJiCtxlbjjayA2vSRYahvu
    CfcQMfTn2Wiz/RFX/k36TzHxeKhqza2+wHw67xrgSvaI64Snmi66NHjUCCsC6SfTVbHpFlQsQ1t3GJgy/K/Oo2G8jgqKq1
    IQt1SWdJ+tQFbJWDYj5g4wP3b7vYUPaavTYQF56zwhh7I55S0r9lUl7wqF7dFfkcEad8uU7H8+0I0Oq8nUrZBuqc37EhLb
    qSEq+6r43+VsNsrIODPSNPq1asFInVNTYkKSSRbriMIQYSdQGWf//Z
    """
}
