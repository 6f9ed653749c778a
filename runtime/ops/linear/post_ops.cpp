#include "runtime/ops/linear/post_ops.h"

namespace pli::ops {

namespace {

using compute::PostOp;
using Kind = PostOp::Kind;

void append(const Activation& activation, compute::PostOps& ops) {
  const auto add = [&](Kind kind, float alpha = 0, float beta = 0) { ops.push_back({kind, alpha, beta, 0, {}}); };
  switch (activation.kind) {
    case Activation::Kind::kRelu:
      return add(Kind::kRelu);
    case Activation::Kind::kLeakyRelu:
      return add(Kind::kRelu, activation.alpha);
    case Activation::Kind::kClip:
      return add(Kind::kClip, activation.alpha, activation.beta);
    case Activation::Kind::kSigmoid:
      return add(Kind::kSigmoid);
    case Activation::Kind::kTanh:
      return add(Kind::kTanh);
    case Activation::Kind::kElu:
      return add(Kind::kElu, activation.alpha);
    case Activation::Kind::kHardSwish:
      return add(Kind::kHardSwish);
    case Activation::Kind::kSwish:
      return add(Kind::kSwish, activation.alpha);
    case Activation::Kind::kGeluErf:
      return add(Kind::kGeluErf);
    case Activation::Kind::kGeluTanh:
      return add(Kind::kGeluTanh);
    case Activation::Kind::kLinear:
      return add(Kind::kLinear, activation.alpha, activation.beta);
    case Activation::Kind::kHardSigmoid:  // oneDNN has none of its own
      add(Kind::kLinear, activation.alpha, activation.beta);
      return add(Kind::kClip, 0, 1);
  }
}

}  // namespace

compute::PostOps to_post_ops(const PrepareContext& context) {
  compute::PostOps ops;
  for (const Epilogue& epilogue : context.epilogues) {
    switch (epilogue.kind) {
      case Epilogue::Kind::kActivation:
        append(epilogue.activation, ops);
        break;
      case Epilogue::Kind::kAdd:
        ops.push_back({Kind::kAdd, 0, 0, epilogue.operand, context.inputs[epilogue.operand]});
        break;
      case Epilogue::Kind::kAddInPlace:
        ops.push_back({Kind::kAddInPlace, 0, 0, 0, {}});
        break;
      case Epilogue::Kind::kAddRow:
        fail(ErrorCode::kInternal, "a row is a bias, not a post-op");
    }
  }
  return ops;
}

}  // namespace pli::ops
