#include "runtime/ops/arithmetic/cast.h"

#include "runtime/compute/copy.h"
#include "runtime/ops/elementwise.h"

#include <array>

namespace pli::ops {

namespace {

using CastTypes = TypeList<float, double, Float16, Bfloat16, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
                           uint32_t, uint64_t, bool>;

template <class T>
constexpr bool kIsHalf = std::is_same_v<T, Float16> || std::is_same_v<T, Bfloat16>;

template <class From, class To>
struct Convert {
  Stored<To> operator()(Stored<From> x) const {
    if constexpr (kIsHalf<From>) {
      return Convert<float, To>{}(to_float(x));
    } else if constexpr (std::is_same_v<From, bool>) {
      return Convert<int32_t, To>{}(x != 0 ? 1 : 0);
    } else if constexpr (std::is_same_v<To, bool>) {
      return x != 0 ? 1 : 0;
    } else if constexpr (std::is_same_v<To, Float16>) {
      return to_float16(static_cast<double>(x));
    } else if constexpr (std::is_same_v<To, Bfloat16>) {
      return to_bfloat16(static_cast<double>(x));
    } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
      return saturate<To>(x);
    } else {
      return static_cast<To>(x);
    }
  }
};

/// The type that the node converts to; kUndefined when only the run-time type of the second input says it.
DataType target(const ir::Graph& graph, const ir::Node& node) {
  if (node.is("CastLike")) return node.input(1) ? graph.type(node.input(1)).dtype : DataType::kUndefined;
  const int64_t to = node.int_or("to", 0);
  if (to <= 0 || to > static_cast<int64_t>(DataType::kInt2))
    fail(ErrorCode::kInvalidModel, "attribute to is {}, which is no element type", to);
  return static_cast<DataType>(to);
}

std::vector<ir::Type> infer_cast(const InferContext& context) {
  const bool like = context.node.is("CastLike");
  context.check_inputs(like ? 2 : 1, like ? 2 : 1);
  context.check_outputs(1, 1);
  return {ir::Type::tensor(target(context.graph, context.node), context.type(0).dims)};
}

std::unique_ptr<Kernel> prepare_cast(const PrepareContext& context) {
  return make_cast(context.inputs[0], context.outputs[0]);
}

/// Nothing to do when the type stays.
std::optional<std::vector<View>> view_cast(const PrepareContext& context) {
  if (context.inputs[0].dtype != context.outputs[0].dtype) return std::nullopt;
  return std::vector{View{context.inputs[0]}};
}

constexpr Operator cast(std::string_view type, int64_t since) {
  return {type, since, kNewestOpset, mask_of(CastTypes{}), infer_cast, prepare_cast, elementwise_layouts, view_cast};
}

constexpr std::array kOperators{cast("Cast", 6), cast("CastLike", 15)};

}  // namespace

std::unique_ptr<Kernel> make_cast(const TensorDesc& from, const TensorDesc& to) {
  if (from.dtype == to.dtype) return compute::make_copy(from, to);
  return dispatch(from.dtype, CastTypes{}, [&]<class From>(std::type_identity<From>) {
    return dispatch(to.dtype, CastTypes{}, [&]<class To>(std::type_identity<To>) -> std::unique_ptr<Kernel> {
      if constexpr (std::is_same_v<From, To>)
        return nullptr;
      else
        return loop_kernel<Stored<To>, Stored<From>>(to, std::array{from}, Convert<From, To>{}, compute::kLightGrain);
    });
  });
}

Family cast_family() { return kOperators; }

}  // namespace pli::ops
