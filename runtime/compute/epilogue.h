#pragma once

#include "runtime/compute/elementwise.h"
#include "runtime/compute/kernel.h"
#include "runtime/compute/post_op.h"
#include "runtime/compute/register_tile.h"

#include <optional>
#include <vector>

namespace pli::compute {

/// Post-ops as kernels of ours do them: a sum, then bounds or a hard swish, while a tile is in registers; what comes
/// behind in loops over a piece of the result that is in the cache.
class Epilogue {
 public:
  /// Nothing where the result's memory is to be added after something else has been done: by then it is overwritten.
  static std::optional<Epilogue> of(const PostOps& ops);

  /// The sum is with what the result's memory holds.
  bool adds_result() const { return adds_result_; }

  /// What is done in registers, for the whole result; without a bias.
  Finish finish(const RunArgs& args) const;

  /// The rest, for `rows` rows of `columns` numbers at `piece`, whose place in the whole result is `first` behind its
  /// start.
  void apply(const RunArgs& args, float* piece, int64_t first, int64_t rows, int64_t columns, int64_t stride) const;

 private:
  struct Step {
    TileLoop loop;
    std::optional<size_t> operand{};  // that is added, laid out as the result
  };

  std::optional<size_t> summand_;  // index of an input
  bool adds_result_ = false;
  bool clips_ = false;
  float low_ = 0, high_ = 0;
  bool is_hard_swish_ = false;
  std::vector<Step> rest_;
};

}  // namespace pli::compute
