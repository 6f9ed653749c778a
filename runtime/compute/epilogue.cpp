#include "runtime/compute/epilogue.h"

#include "runtime/compute/activation_functions.h"
#include "runtime/core/error.h"

#include <limits>

namespace pli::compute {

namespace {

using Kind = PostOp::Kind;

struct AddFunction {
  float operator()(float a, float b) const { return a + b; }
};

TileLoop loop_of(const PostOp& op) {
  const auto loop = [](auto f) { return TileLoop::of<float, float>(f); };
  switch (op.kind) {
    case Kind::kRelu:
      return loop(LeakyReluFunction{op.alpha});
    case Kind::kClip:
      return loop(ClipFunction<float>{op.alpha, op.beta});
    case Kind::kSigmoid:
      return loop(SigmoidFunction{});
    case Kind::kTanh:
      return loop(TanhFunction{});
    case Kind::kElu:
      return loop(EluFunction{op.alpha});
    case Kind::kHardSwish:
      return loop(HardSwishFunction{});
    case Kind::kSwish:
      return loop(SwishFunction{op.alpha});
    case Kind::kGeluErf:
      return loop(GeluErfFunction{});
    case Kind::kGeluTanh:
      return loop(GeluTanhFunction{});
    case Kind::kLinear:
      return loop(LinearFunction{op.alpha, op.beta});
    case Kind::kAdd:
      return TileLoop::of<float, float, float>(AddFunction{});
    case Kind::kAddInPlace:
      break;
  }
  fail(ErrorCode::kInternal, "a post-op of kind {} is no loop", static_cast<int>(op.kind));
}

}  // namespace

std::optional<Epilogue> Epilogue::of(const PostOps& ops) {
  Epilogue epilogue;
  auto op = ops.begin();
  if (op != ops.end() && op->kind == Kind::kAdd)
    epilogue.summand_ = (op++)->operand;
  else if (op != ops.end() && op->kind == Kind::kAddInPlace)
    epilogue.adds_result_ = (++op, true);
  if (op != ops.end() && (op->kind == Kind::kClip || (op->kind == Kind::kRelu && op->alpha == 0))) {
    epilogue.clips_ = true;
    const bool is_clip = op->kind == Kind::kClip;
    epilogue.low_ = is_clip ? op->alpha : 0;
    epilogue.high_ = is_clip ? op->beta : std::numeric_limits<float>::infinity();
    ++op;
  }
  if (op != ops.end() && op->kind == Kind::kHardSwish && !epilogue.clips_) {
    epilogue.is_hard_swish_ = true;
    epilogue.low_ = 0;
    epilogue.high_ = 1;
    ++op;
  }
  for (; op != ops.end(); ++op) {
    if (op->kind == Kind::kAddInPlace) return std::nullopt;
    epilogue.rest_.push_back({loop_of(*op), {}});
    if (op->kind == Kind::kAdd) epilogue.rest_.back().operand = op->operand;
  }
  return epilogue;
}

Finish Epilogue::finish(const RunArgs& args) const {
  const float* summand = summand_ ? args.input<float>(*summand_) : adds_result_ ? args.output<float>(0) : nullptr;
  return {nullptr, summand, clips_, low_, high_, is_hard_swish_};
}

void Epilogue::apply(const RunArgs& args, float* piece, int64_t first, int64_t rows, int64_t columns,
                     int64_t stride) const {
  if (rest_.empty()) return;
  Tile tile;
  const bool is_one_row = stride == columns;
  tile.rows = is_one_row ? 1 : rows;
  tile.columns = is_one_row ? rows * columns : columns;
  tile.output = piece;
  tile.row_strides.fill(stride);
  tile.column_strides.fill(1);
  for (const Step& step : rest_) {
    if (!step.operand) {
      step.loop.in_place(tile);
      continue;
    }
    tile.inputs = {tile.output, args.input<float>(*step.operand) + first};
    step.loop(tile);
  }
}

}  // namespace pli::compute
