#pragma once

#include <pli/export.h>

#include <cstdint>

namespace pli {

/// What a model may ask for; one object goes through load, optimize, compile and run. Beyond it: kResourceLimit.
struct Limits {
  /// Bytes of a model file. Protobuf itself ends at 2 GiB - 1.
  int64_t model_bytes = (int64_t{1} << 31) - 1;
  /// Bytes of all external data of a model together; what several tensors share counts once.
  int64_t external_bytes = int64_t{64} << 30;
  /// Levels of graphs nested in nodes. Protobuf reads messages 100 deep, which ends at 31 or 32 levels, depending on
  /// what the innermost graph holds: a larger number lets no more through.
  int graph_depth = 32;
  /// Nodes of a model, nested graphs included.
  int64_t nodes = 1'000'000;
  /// Dimensions of a tensor in a file. Kernels take up to 12.
  int rank = 64;
  /// Bytes of one tensor that a session computes.
  int64_t tensor_bytes = int64_t{16} << 30;
  /// Bytes of one session's working memory: the arena and scratchpad of one call to run.
  int64_t arena_bytes = int64_t{32} << 30;
  /// Bytes of the compiled plans that a session keeps, but for the last one: see SessionStatistics::plan_bytes.
  int64_t plan_bytes = int64_t{1} << 30;
  /// Bytes that constant folding may make of one node, unless the result is no larger than its operands. Over a whole
  /// model it may add 64 times as much to twice the constants that are there, and 2^14 multiply-adds for each byte.
  int64_t folded_bytes = int64_t{1} << 20;
  /// Nodes that are looked at to find what takes one scale and shift up. Beyond it that one stays.
  int folded_path = 64;
};

}  // namespace pli
