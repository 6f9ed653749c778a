#pragma once

#include "passes/affine/scaled_weight.h"
#include "passes/fold_log.h"
#include "passes/names.h"
#include "runtime/ops/evaluate.h"

#include <pli/optimize.h>

#include <set>
#include <string_view>

namespace pli::passes {

/// What is to become of the model.
enum class Purpose {
  kWriting,
  /// It is run, and never written: what is folded into weights of float16 or bfloat16 stays float32, under a type that
  /// says otherwise, so that it is not rounded once more.
  kRunning,
};

/// What a pass works on. The runner has inferred all types before it, and afterwards removes dead code, renames and
/// verifies.
struct Context {
  ir::Graph& graph;
  const OptimizeOptions& options;
  Purpose purpose;
  FoldLog& log;                    // what becomes of each BatchNormalization and affine
  Names& names;                    // that new constants shall have
  bool free_initializers = false;  // of a version in which they need not be inputs
  ops::FoldingBudget widening;     // as budget, for what widens weights and stays in the model
  ops::FoldingBudget budget;       // for the whole run
  int64_t turning = 0;             // nodes and uses that sink_transposes may look at, likewise
  ops::BrokenNodes broken;         // they stay as they are, and nothing is folded into them
  std::set<ir::ValueId> computed;  // constants that were folded in this run
  /// Nodes that the limits keep from being folded, as of the last look.
  std::vector<std::pair<ir::NodeId, ops::FoldingLimit>> over_limit;
  int64_t subnormals_cleared = 0;
  std::map<DataType, int64_t> rounded_weights;  // folded weights that are stored in a narrow type again
  int64_t widened_bytes = 0;                    // by which folded weights grew that were stored in a narrow type
  int64_t across_casts = 0;                     // affines that moved from one float type to another
  int64_t constant_channels = 0;                // of folded affines, that they scale by 0
  /// What folded constants would hold were they not rounded: the next fold goes on from there.
  std::map<ir::ValueId, ScaledWeight> scaled{};
  std::map<ir::ValueId, std::vector<double>> exact{};

  /// The type in which constants of a type are folded: half the bits are not kept where nothing is written.
  DataType folded_type(DataType dtype) const;
  /// A node that is left as it is: it is broken, or the user keeps it.
  bool stays(ir::NodeId id) const { return broken.contains(id) || log.kept_by_user(id); }
  /// The node that makes this value and may go with it: one use needs the value, and the node does not stay. None
  /// otherwise.
  ir::NodeId only_maker(ir::ValueId value) const;
  /// The constant, said to be of the type that it has in the model, whatever it is folded in.
  ir::ValueId typed(ir::ValueId constant, DataType dtype);
  ScaledWeight scaled_weight(ir::ValueId constant) const;
  std::vector<double> exact_numbers(ir::ValueId constant) const;
};

/// One kind of rewrite, applied wherever it fits. It checks everything before the first change of each rewrite, so that
/// the graph stays whole and equal to what it was. Returns the number of rewrites; 0 on a graph that it has just
/// returned from.
using PassFn = int64_t (*)(Context&);

struct Pass {
  std::string_view name;     // of the function, its file, its test and the user's --disable
  std::string_view summary;  // one line
  PassFn run;
};

// One file each, passes/<name>.cpp.
int64_t inline_functions(Context& context);
int64_t eliminate_nop(Context& context);
int64_t constants_to_initializers(Context& context);
int64_t fold_constants(Context& context);
int64_t inline_if(Context& context);
int64_t fuse_hard_sigmoid(Context& context);
int64_t fold_batch_norm(Context& context);
int64_t fold_channel_affine(Context& context);
int64_t duplicate_linear(Context& context);
int64_t fuse_pad(Context& context);
int64_t fuse_matmul_add(Context& context);
int64_t merge_parallel_convolutions(Context& context);
int64_t merge_linear(Context& context);
int64_t merge_consecutive(Context& context);
int64_t unpack_sequences(Context& context);
int64_t einsum_to_matmul(Context& context);
int64_t sink_transposes(Context& context);
int64_t fuse_channel_shuffle(Context& context);
int64_t eliminate_common_subexpression(Context& context);

}  // namespace pli::passes
