import DVAEReports
import Testing

/// Bytes of TensorBoard's own writer (tensorboard 2.20, `RecordWriter` over `event_pb2`).
@Suite struct TensorBoardEventTests {
  private func hex(_ step: Int, _ event: TensorBoardEvent) -> String {
    event.record(time: 1.5, step: step).map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
  }

  @Test func versions() {
    #expect(
      hex(0, .version)
        == "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c")
  }

  @Test func starts() {
    #expect(
      hex(300, .start) == "100000000000000095fbfe1809000000000000f83f10ac023a020801713b788a")
  }

  @Test func scalars() {
    #expect(
      hex(300, .scalars([("train/loss", -0.25), ("kl", 3)]))
        == "2c00000000000000f4aecc4509000000000000f83f10ac022a1e0a110a0a747261696e2f6c6f7373"
        + "15000080be0a090a026b6c1500004040e1bbd570")
  }

  @Test func pictures() {
    #expect(
      hex(300, .picture(tag: "p", width: 3, height: 200, png: [0, 1, 2, 3, 4]))
        == "2300000000000000b09f774309000000000000f83f10ac022a150a130a0170220e08c801100318032205"
        + "000102030416244a02")
  }
}
