#include "runtime/ops/selection/scatter.h"

#include "runtime/compute/copy.h"
#include "runtime/core/dispatch.h"
#include "runtime/ops/dims.h"
#include "runtime/ops/selection/indices.h"

#include <cmath>

namespace pli::ops {

namespace {

using compute::RunArgs;

enum class Reduction { kNone, kAdd, kMul, kMin, kMax };

Reduction reduction_of(const ir::Node& node, int64_t opset) {
  const std::string name = opset >= 16 ? node.string_or("reduction", "none") : "none";
  if (name == "none") return Reduction::kNone;
  if (name == "add") return Reduction::kAdd;
  if (name == "mul") return Reduction::kMul;
  if (name == "min" && opset >= 18) return Reduction::kMin;
  if (name == "max" && opset >= 18) return Reduction::kMax;
  fail(ErrorCode::kInvalidModel, "there is no reduction \"{}\"", name);
}

Reduction reduction_for(const PrepareContext& context) {
  const Reduction reduction = reduction_of(context.node, context.opset);
  const DataType dtype = context.graph.type(context.node.inputs[0]).dtype;
  if (reduction != Reduction::kNone && dtype == DataType::kString)
    fail(ErrorCode::kUnsupported, "a reduction of strings");
  return reduction;
}

/// NaN wins against every number.
template <Reduction kind, class T>
T combine(T old, T update) {
  if constexpr (kind == Reduction::kAdd) return static_cast<T>(Modular<T>(old) + Modular<T>(update));
  if constexpr (kind == Reduction::kMul) return static_cast<T>(Modular<T>(old) * Modular<T>(update));
  if constexpr (kind == Reduction::kMin) return update < old || update != update ? update : old;
  if constexpr (kind == Reduction::kMax) return update > old || update != update ? update : old;
  return update;
}

/// Calls visit.operator()<T, Combine>() with how an element and an update become one: T a number, or bits where it only
/// moves.
template <class Visit>
std::unique_ptr<Kernel> by_reduction(Reduction reduction, DataType dtype, Visit&& visit) {
  if (reduction == Reduction::kNone)
    return with_bits_type(dtype, [&]<class T>(T) { return visit(combine<Reduction::kNone, T>); });
  return with_number_type(dtype, [&]<class T>(T) {
    switch (reduction) {
      case Reduction::kAdd:
        return visit(combine<Reduction::kAdd, T>);
      case Reduction::kMul:
        return visit(combine<Reduction::kMul, T>);
      case Reduction::kMin:
        return visit(combine<Reduction::kMin, T>);
      default:
        return visit(combine<Reduction::kMax, T>);
    }
  });
}

compute::StridedCopy copy_of(const TensorDesc& data) {
  return {data.dtype, data.dims, data.strides, compute::plain_strides(data.dims)};
}

void check_updates(const InferContext& context) {
  context.check_inputs(3, 3);
  context.check_outputs(1, 1);
  (void)reduction_of(context.node, context.opset);
  const DataType data = context.type(0).dtype, updates = context.type(2).dtype;
  if (data != updates && data != DataType::kUndefined && updates != DataType::kUndefined)
    fail(ErrorCode::kInvalidModel, "the data are {} and the updates {}", to_string(data), to_string(updates));
}

/// kInvalidModel where the updates have other dimensions than `expected`.
void check_update_dims(const InferContext& context, const ir::Dims& expected) {
  const ir::Type& updates = context.type(2);
  check_rank(context, 2, static_cast<int64_t>(expected.size()));
  if (!updates.dims) return;
  for (size_t i = 0; i < expected.size(); ++i) {
    const ir::Dim &a = (*updates.dims)[i], &b = expected[i];
    if (a.known() && b.known() && a.value() != b.value())
      fail(ErrorCode::kInvalidModel, "dimension {} of the updates is {} where {} is expected", i, a.value(), b.value());
  }
}

// --- ScatterElements -------------------------------------------------------------------------------------------------

std::vector<ir::Type> infer_scatter_elements(const InferContext& context) {
  check_updates(context);
  const ir::Type& data = context.type(0);
  const ir::Type& indices = index_type(context, 1);
  if (data.dims) {
    const auto axis = static_cast<size_t>(normalize_axis(context.node.int_or("axis", 0), data.rank()));
    check_rank(context, 1, data.rank());
    check_constant_indices(context, (*data.dims)[axis]);
    for (size_t i = 0; indices.dims && i < data.dims->size(); ++i) {
      const ir::Dim &have = (*data.dims)[i], &want = (*indices.dims)[i];
      if (i != axis && have.known() && want.known() && want.value() > have.value())
        fail(ErrorCode::kInvalidModel, "dimension {} is {} of the indices and {} of the data", i, want.value(),
             have.value());
    }
  }
  if (indices.dims) check_update_dims(context, *indices.dims);
  return {data};
}

std::unique_ptr<Kernel> prepare_scatter_elements(const PrepareContext& context) {
  const TensorDesc &data = context.inputs[0], &indices_desc = context.inputs[1];
  const auto axis = static_cast<size_t>(normalize_axis(context.node.int_or("axis", 0), data.rank()));
  const int64_t bound = data.dims[axis], size = indices_desc.size();
  const PerAxis strides = compute::plain_strides(data.dims);
  const bool wide = Indices::are_wide(indices_desc);
  const auto make = [&]<class T>(T (*reduce)(T, T)) {
    return compute::make_kernel([=, copy = copy_of(data), dims = indices_desc.dims](const RunArgs& args) {
      const Indices indices(args.inputs[1], wide);
      const T* updates = args.input<T>(2);
      T* output = args.output<T>(0);
      check_indices(indices, size, bound);
      copy.run(args.inputs[0], output);
      for (int64_t i = 0; i < size; ++i) {
        int64_t rest = i, at = from_end(indices[i], bound) * strides[axis];
        for (size_t d = dims.size(); d-- > 0; rest /= dims[d])
          if (d != axis) at += rest % dims[d] * strides[d];
        output[at] = reduce(output[at], updates[i]);
      }
    });
  };
  return by_reduction(reduction_for(context), data.dtype, make);
}

// --- ScatterND -------------------------------------------------------------------------------------------------------

std::vector<ir::Type> infer_scatter_nd(const InferContext& context) {
  check_updates(context);
  const ir::Type& data = context.type(0);
  const ir::Type& indices = index_type(context, 1);
  if (!data.dims || !indices.dims) return {data};
  if (indices.rank() == 0) fail(ErrorCode::kInvalidModel, "the indices are a scalar");
  const ir::Dim& depth = indices.dims->back();
  if (!depth.known()) return {data};
  if (depth.value() < 1 || depth.value() > data.rank())
    fail(ErrorCode::kInvalidModel, "indices of {} dimensions into data of rank {}", depth.value(), data.rank());
  check_constant_tuples(context, std::span(*data.dims).first(static_cast<size_t>(depth.value())));
  ir::Dims expected(indices.dims->begin(), indices.dims->end() - 1);
  expected.insert(expected.end(), data.dims->begin() + depth.value(), data.dims->end());
  check_update_dims(context, expected);
  return {data};
}

std::unique_ptr<Kernel> prepare_scatter_nd(const PrepareContext& context) {
  const TensorDesc &data = context.inputs[0], &indices_desc = context.inputs[1];
  const int64_t depth = indices_desc.dims.back();
  const int64_t tuples = indices_desc.size() / indices_desc.dims.back();
  const std::vector<int64_t> bounds(data.dims.begin(), data.dims.begin() + indices_desc.dims.back());
  const int64_t inner = *checked_size(std::span(data.dims).subspan(static_cast<size_t>(depth)));
  const bool wide = Indices::are_wide(indices_desc);
  const auto make = [&]<class T>(T (*reduce)(T, T)) {
    return compute::make_kernel([=, copy = copy_of(data)](const RunArgs& args) {
      const Indices indices(args.inputs[1], wide);
      const T* update = args.input<T>(2);
      T* output = args.output<T>(0);
      for (int64_t d = 0; d < depth; ++d) check_indices(indices, tuples, bounds[static_cast<size_t>(d)], d, depth);
      copy.run(args.inputs[0], output);
      for (int64_t tuple = 0; tuple < tuples; ++tuple) {
        int64_t row = 0;
        for (int64_t d = 0; d < depth; ++d) {
          const int64_t bound = bounds[static_cast<size_t>(d)];
          row = row * bound + from_end(indices[tuple * depth + d], bound);
        }
        for (T *element = output + row * inner, *end = element + inner; element != end; ++element, ++update)
          *element = reduce(*element, *update);
      }
    });
  };
  return by_reduction(reduction_for(context), data.dtype, make);
}

constexpr DataTypes kTypes = kMovable & ~kHalves;  // halves are reduced as float32

constexpr Operator kOperators[] = {
    {"Scatter", 9, 10, kTypes, infer_scatter_elements, prepare_scatter_elements},
    {"ScatterElements", 11, kNewestOpset, kTypes, infer_scatter_elements, prepare_scatter_elements},
    {"ScatterND", 11, kNewestOpset, kTypes, infer_scatter_nd, prepare_scatter_nd},
};

}  // namespace

Family scatter_family() { return kOperators; }

}  // namespace pli::ops
