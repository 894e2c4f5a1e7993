import DVAEFiles
import Testing

@Suite struct ShardTests {
  @Test(arguments: [1, 2, 3, 7, 10, 64], [0, 1, 5, 10, 11, 1_000_003])
  func partsTileTheWhole(count: Int, total: Int) throws {
    var end = 0
    for index in 0..<count {
      let range = try #require(Shard(index, of: count)).range(of: total)
      #expect(range.lowerBound == end)
      #expect((total / count...total / count + 1).contains(range.count))
      end = range.upperBound
    }
    #expect(end == total)
  }

  @Test func textIsRead() throws {
    #expect(try Shard("2/4") == Shard(2, of: 4))
    for text in ["4/4", "-1/4", "1", "1/0", "a/b", "1/2/3", "", "/"] {
      let error = #expect(throws: DVAEError.self) { try Shard(text) }
      #expect(error?.kind == .usage)
    }
  }

  @Test func namesSortAndKeepTheirExtension() throws {
    let shard = try Shard("3/12")
    #expect(shard.path("out/tokens.npy") == "out/tokens-03-of-12.npy")
    #expect(shard.path("a.b/tokens") == "a.b/tokens-03-of-12")
    #expect(shard.path(".hidden") == ".hidden-03-of-12")
    #expect(Shard.whole.path("tokens.npy") == "tokens.npy")
  }

  @Test func schedulersAreUnderstood() throws {
    let cases: [[String: String]] = [
      ["SLURM_PROCID": "1", "SLURM_NTASKS": "4"], ["RANK": "1", "WORLD_SIZE": "4"],
      ["OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"],
      ["JOB_COMPLETION_INDEX": "1", "JOB_COMPLETIONS": "4"],
      [
        "SLURM_PROCID": "1", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0",
      ],
      // torchrun inside a Slurm job
      ["SLURM_PROCID": "0", "SLURM_NTASKS": "1", "RANK": "1", "WORLD_SIZE": "4"],
    ]
    for environment in cases {
      #expect(try Shard.scheduled(environment)?.shard == Shard(1, of: 4))
    }
    #expect(try Shard.scheduled(["PATH": "/bin", "RANK": "1"]) == nil)
    // A batch script, which is one process whatever the number of tasks.
    let script = ["SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"]
    #expect(try Shard.scheduled(script) == nil)
  }

  @Test func contradictoryVariablesAreErrors() {
    for environment in [
      ["RANK": "4", "WORLD_SIZE": "4"], ["RANK": "x", "WORLD_SIZE": "4"],
      ["JOB_COMPLETION_INDEX": "2"],
    ] {
      let error = #expect(throws: DVAEError.self) { try Shard.scheduled(environment) }
      #expect(error?.advice?.contains("name the shard") == true)
    }
  }
}
