#include "runtime/ops/arithmetic/cast.h"

#include "runtime/compute/copy.h"
#include "runtime/compute/halves.h"
#include "runtime/ops/elementwise.h"

#include <array>

namespace pli::ops {

namespace {

using CastTypes = TypeList<float, double, Float16, Bfloat16, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
                           uint32_t, uint64_t, bool>;

template <class T>
constexpr bool kIsHalf = std::is_same_v<T, Float16> || std::is_same_v<T, Bfloat16>;

template <class T>
constexpr auto widened() {
  if constexpr (kIsHalf<T> || std::is_same_v<T, float>)
    return float{};
  else if constexpr (std::is_same_v<T, double> || std::is_same_v<T, uint64_t>)
    return T{};
  else if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, uint32_t>)
    return int64_t{};
  else
    return int32_t{};  // bool and the small integers
}

/// What an element becomes first, exactly, when it is converted: so that not every pair of types is a loop of its own.
template <class T>
using Wide = decltype(widened<T>());

/// A stored element as its wide type.
template <class From>
struct Widen {
  Wide<From> operator()(Stored<From> x) const {
    if constexpr (std::is_same_v<From, bool>)
      return x != 0 ? 1 : 0;
    else
      return x;
  }
};

template <class From>
compute::TileLoop widening_loop() {
  if constexpr (kIsHalf<From>)
    return compute::TileLoop::of_rows<float, From>(compute::widen);
  else
    return compute::TileLoop::of<Wide<From>, Stored<From>>(Widen<From>{});
}

/// A wide element as the target's.
template <class From, class To>
struct Narrow {
  Stored<To> operator()(From x) const {
    if constexpr (std::is_same_v<To, bool>)
      return x != 0 ? 1 : 0;
    else if constexpr (std::is_same_v<To, Float16>)
      return to_float16(static_cast<double>(x));
    else if constexpr (std::is_same_v<To, Bfloat16>)
      return to_bfloat16(static_cast<double>(x));
    else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>)
      return saturate<To>(x);
    else
      return static_cast<To>(x);
  }
};

/// From this version on the target of Cast is a number, before a name.
constexpr int64_t kTargetAsNumber = 6;

/// The element type that TensorProto calls so, such as "FLOAT".
std::optional<DataType> named_type(std::string name) {
  if (name == "FLOAT") return DataType::kFloat32;
  if (name == "DOUBLE") return DataType::kFloat64;
  for (char& c : name) {
    if (c >= 'a' && c <= 'z') return std::nullopt;
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const auto dtype = parse_dtype(name);
  return dtype == DataType::kUndefined ? std::nullopt : dtype;
}

/// The type that the node converts to; kUndefined when only the run-time type of the second input says it.
DataType target(const ir::Graph& graph, const ir::Node& node) {
  if (node.is("CastLike")) return node.input(1) ? graph.type(node.input(1)).dtype : DataType::kUndefined;
  if (graph.opset("") < kTargetAsNumber) {
    const std::string name = node.string_or("to", "");
    const auto dtype = named_type(name);
    if (!dtype) fail(ErrorCode::kInvalidModel, "attribute to is \"{}\", which is no element type", name);
    return *dtype;
  }
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

using compute::Tile;
using compute::TileLoop;

template <class From, class To>
TileLoop narrowing_loop() {
  if constexpr (std::is_same_v<From, float> && kIsHalf<To>)
    return TileLoop::of_rows<To, float>(compute::narrow);
  else
    return TileLoop::of<Stored<To>, From>(Narrow<From, To>{});
}

template <class From>
TileLoop narrow_to(DataType dtype) {
  std::optional<TileLoop> loop;
  const auto try_types = [&]<class... To>(TypeList<To...>) {
    ((dtype == dtype_of<To>() ? void(loop = narrowing_loop<From, To>()) : void()), ...);
  };
  try_types(CastTypes{});
  if (!loop) fail(ErrorCode::kUnsupported, "elements of type {}", to_string(dtype));
  return *loop;
}

/// Tile by tile, the wide elements in between.
std::unique_ptr<Kernel> make_wide_cast(compute::Walk walk, const TileLoop& widen, const TileLoop& narrow) {
  return compute::make_kernel([walk = std::move(walk), widen, narrow](const compute::RunArgs& args) {
    walk.for_each_tile(args.outputs[0], args.inputs, compute::kLightGrain, [&](const Tile& tile) {
      alignas(64) std::byte buffer[compute::Walk::kTileElements * sizeof(int64_t)];
      Tile in = tile;
      in.output = buffer;
      in.row_strides[0] = tile.columns;
      in.column_strides[0] = 1;
      Tile out = tile;
      out.inputs[0] = buffer;
      out.row_strides[1] = tile.columns;
      out.column_strides[1] = 1;
      widen(in);
      narrow(out);
    });
  });
}

constexpr Operator cast(std::string_view type, int64_t since, uint32_t type_inputs = 0) {
  return {type,      since, kNewestOpset, mask_of(CastTypes{}), infer_cast, prepare_cast, elementwise_layouts,
          view_cast, 0,     kNoEpilogue,  type_inputs};
}

constexpr std::array kOperators{cast("Cast", 1), cast("CastLike", 15, 0b10)};

}  // namespace

std::unique_ptr<Kernel> make_cast(const TensorDesc& from, const TensorDesc& to) {
  if (from.dtype == to.dtype) return compute::make_copy(from, to);
  return dispatch(from.dtype, CastTypes{}, [&]<class From>(std::type_identity<From>) {
    const TileLoop narrow = narrow_to<Wide<From>>(to.dtype);
    compute::Walk walk(to, std::array{from});
    if constexpr (std::is_same_v<Wide<From>, From>) {
      return compute::make_elementwise(std::move(walk), narrow, compute::kLightGrain);
    } else {
      const TileLoop widen = widening_loop<From>();
      if (to.dtype == dtype_of<Wide<From>>())
        return compute::make_elementwise(std::move(walk), widen, compute::kLightGrain);
      return make_wide_cast(std::move(walk), widen, narrow);
    }
  });
}

Family cast_family() { return kOperators; }

}  // namespace pli::ops
