#pragma once

#include <pli/dtype.h>
#include <pli/export.h>
#include <pli/limits.h>
#include <pli/model.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pli {

/// What became of one BatchNormalization, or of one other constant per-channel scale and shift.
struct Fold {
  std::string name;    // of the node; empty when the model gives it none
  std::string output;  // of the node: what identifies it
  std::string graph;   // "" for the main graph, else the path of nodes down to the nested graph
  bool folded = false;
  std::string into;    // folded: the node that took it up
  std::string how;     // folded: the rule, such as "conv_absorbs_following"
  std::string code;    // kept: a stable reason code, such as "other_consumer"
  std::string reason;  // kept: the same in words, with names
};

struct PassRun {
  std::string name;
  int64_t changes = 0;
  double ms = 0;
};

/// A node that breaks the standard: it stays as it is, and nothing is folded into it. Running it is kInvalidModel.
struct BrokenNode {
  std::string node;    // operator and name, as messages call it
  std::string reason;  // what is wrong with it
};

/// What `optimize` did.
struct Report {
  std::vector<Fold> batch_norms;  // every BatchNormalization of the model, in its order
  std::vector<Fold> affines;      // every Mul, Add, Sub or Div by a constant per-channel operand that was considered
  std::vector<PassRun> passes;
  std::vector<BrokenNode> broken_nodes;
  int64_t nodes_before = 0;
  int64_t nodes_after = 0;
  /// The narrow type in which folded weights are stored again, as they were before; kUndefined when there are none.
  DataType rounded_to = DataType::kUndefined;
  int64_t subnormals_cleared = 0;             // folded weights that had become subnormal and were made zero
  std::vector<std::string> notes;             // one line each, such as an IR version that had to be raised
  std::map<std::string, std::string> origin;  // new tensor name -> the name that it came from
};

struct OptimizeOptions {
  std::vector<std::string> only{};     // run just these passes; empty: all
  std::vector<std::string> disable{};  // all but these
  std::string stop_after{};            // end after the first run of this pass
  std::vector<std::string> keep{};     // outputs of BatchNormalizations and affines that must not be folded
  bool freeze_initializers =
      false;  // treat initializers that are also graph inputs as constant (IR version 4 and later)
  /// Read nodes by the standard's words where other runtimes read them otherwise: a BatchNormalization below opset 14
  /// that lists statistics as outputs which nobody reads is in training mode, and stays.
  bool strict = false;
  /// Store a folded weight in the type that it is computed in, where it was stored in a narrower one behind a Cast:
  /// more exact, and a larger file.
  bool widen_weights = false;
  /// Where a Conv, ConvTranspose, Gemm or MatMul is read by others beside a BatchNormalization, give that one a copy of
  /// it to be folded into: the product is computed twice, and the weights are stored twice.
  bool allow_duplication = false;
  Limits limits{};
};

/// Rewrites `model` into an equal one that is cheaper to run. Names, order and types of its inputs and outputs stay.
/// kInvalidArgument: an unknown pass name, or a last pass that does not run. On an error `model` is as before.
PLI_API Report optimize(Model& model, const OptimizeOptions& options = {});

struct OptimizedModel {
  Model model;
  Report report;
};

/// The same for a model that nobody needs as it was: its weights are freed as they are folded, unless another Model
/// shares them. On an error it is lost.
PLI_API OptimizedModel optimize(Model&& model, const OptimizeOptions& options = {});

struct PassInfo {
  std::string name;
  std::string summary;  // one line
};

/// The passes that these options ask for, in the order in which they run. kInvalidArgument as for optimize.
PLI_API std::vector<PassInfo> list_passes(const OptimizeOptions& options = {});

}  // namespace pli
