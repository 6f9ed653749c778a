#include "runtime/ops/selection/selection.h"

#include "runtime/compute/parallel.h"
#include "runtime/core/dispatch.h"
#include "runtime/ops/dims.h"
#include "runtime/ops/selection/indices.h"

#include <algorithm>
#include <numeric>

namespace pli::ops {

namespace {

using compute::parallel_for;
using compute::RunArgs;

// --- TopK ------------------------------------------------------------------------------------------------------------

/// The k of a TopK: an attribute before opset 10, an input since. Nothing when it is only known at run time.
std::optional<int64_t> top_k_count(const ir::Graph& graph, const ir::Node& node, int64_t opset) {
  if (opset < 10 && !node.attribute("k")) fail(ErrorCode::kInvalidModel, "attribute k is missing");
  const auto count = opset < 10 ? node.int_or("k", 0) : constant_int(graph, node, 1);
  if (count && *count < 0) fail(ErrorCode::kInvalidModel, "k is {}", *count);
  return count;
}

std::vector<ir::Type> infer_top_k(const InferContext& context) {
  const size_t inputs = context.opset < 10 ? 1 : 2;
  context.check_inputs(inputs, inputs);
  context.check_outputs(1, 2);
  const ir::Type& data = context.type(0);
  const auto count = top_k_count(context.graph, context.node, context.opset);
  if (!data.dims) return {data, ir::Type::tensor(DataType::kInt64)};
  ir::Dims dims = *data.dims;
  ir::Dim& dim = dims[static_cast<size_t>(normalize_axis(context.node.int_or("axis", -1), data.rank()))];
  if (count && dim.known() && *count > dim.value())
    fail(ErrorCode::kInvalidModel, "the largest {} of {} elements", *count, dim.value());
  dim = count ? ir::Dim(*count) : ir::Dim();
  return {ir::Type::tensor(data.dtype, dims), ir::Type::tensor(DataType::kInt64, dims)};
}

/// The k first of each line along the axis, by value, then by position. One line of positions for each thread is
/// scratch.
template <class T>
class TopK final : public Kernel {
 public:
  TopK(const AxisSplit& split, int64_t count, bool largest, int threads)
      : split_(split), count_(count), largest_(largest), parts_(std::max(threads, 1)) {}

  size_t scratch_bytes() const override { return static_cast<size_t>(parts_ * split_.axis) * sizeof(int64_t); }

  void run(const RunArgs& args) const override {
    if (count_ == 0) return;
    const int64_t lines = split_.outer * split_.inner;
    parallel_for(parts_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part)
        for (int64_t line = lines * part / parts_; line < lines * (part + 1) / parts_; ++line)
          select(args, line, static_cast<int64_t*>(args.scratch) + part * split_.axis);
    });
  }

 private:
  void select(const RunArgs& args, int64_t line, int64_t* positions) const {
    const int64_t block = line / split_.inner, column = line % split_.inner;
    const T* data = args.input<T>(0) + block * split_.axis * split_.inner + column;
    const auto value = [&](int64_t position) { return data[position * split_.inner]; };
    const auto less = [](T a, T b) { return a < b || (a == a && b != b); };
    const auto before = [&](int64_t i, int64_t j) {
      const T a = value(i), b = value(j);
      if (largest_ ? less(b, a) : less(a, b)) return true;
      if (largest_ ? less(a, b) : less(b, a)) return false;
      return i < j;
    };
    std::iota(positions, positions + split_.axis, int64_t{0});
    std::partial_sort(positions, positions + count_, positions + split_.axis, before);
    const int64_t first = block * count_ * split_.inner + column;
    for (int64_t i = 0; i < count_; ++i) {
      if (args.outputs[0]) args.output<T>(0)[first + i * split_.inner] = value(positions[i]);
      if (args.outputs.size() > 1 && args.outputs[1]) args.output<int64_t>(1)[first + i * split_.inner] = positions[i];
    }
  }

  AxisSplit split_;
  int64_t count_;
  bool largest_;
  int64_t parts_;
};

std::unique_ptr<Kernel> prepare_top_k(const PrepareContext& context) {
  const TensorDesc& data = context.inputs[0];
  const AxisSplit split(data.dims, static_cast<size_t>(normalize_axis(context.node.int_or("axis", -1), data.rank())));
  const int64_t count = need(top_k_count(context.graph, context.node, context.opset), 1);
  const bool largest = context.opset < 11 || context.node.int_or("largest", 1) != 0;
  return with_number_type(data.dtype, [&]<class T>(T) -> std::unique_ptr<Kernel> {
    return std::make_unique<TopK<T>>(split, count, largest, context.threads);
  });
}

// --- CumSum ----------------------------------------------------------------------------------------------------------

std::vector<ir::Type> infer_cum_sum(const InferContext& context) {
  context.check_inputs(2, 2);
  context.check_outputs(1, 1);
  (void)index_type(context, 1);
  const auto axis = constant_int(context.graph, context.node, 1);
  if (axis && context.type(0).has_rank()) (void)normalize_axis(*axis, context.type(0).rank());
  return {context.type(0)};
}

/// Sums of rows of `inner` elements, along the axis of one block.
template <class T>
void sum_rows(const T* data, T* output, const AxisSplit& split, bool exclusive, bool reverse) {
  const auto row_start = [&](int64_t i) { return (reverse ? split.axis - 1 - i : i) * split.inner; };
  for (int64_t i = 0; i < split.axis; ++i) {
    T* const row = output + row_start(i);
    if (i == 0 && exclusive) {
      std::fill_n(row, split.inner, T{0});
    } else if (i == 0) {
      std::copy_n(data + row_start(0), split.inner, row);
    } else {
      const T* const before = output + row_start(i - 1);
      const T* const term = data + row_start(exclusive ? i - 1 : i);
      for (int64_t j = 0; j < split.inner; ++j) row[j] = static_cast<T>(Modular<T>(before[j]) + Modular<T>(term[j]));
    }
  }
}

std::unique_ptr<Kernel> prepare_cum_sum(const PrepareContext& context) {
  const TensorDesc& data = context.inputs[0];
  const int64_t axis = normalize_axis(need(constant_int(context.graph, context.node, 1), 1), data.rank());
  const AxisSplit split(data.dims, static_cast<size_t>(axis));
  const bool exclusive = context.node.int_or("exclusive", 0) != 0, reverse = context.node.int_or("reverse", 0) != 0;
  return with_number_type(data.dtype, [&]<class T>(T) {
    return compute::make_kernel([=](const RunArgs& args) {
      const int64_t block = split.axis * split.inner;
      if (block == 0) return;
      parallel_for(split.outer, 16384 / block, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          sum_rows(args.input<T>(0) + i * block, args.output<T>(0) + i * block, split, exclusive, reverse);
      });
    });
  });
}

// --- NonZero ---------------------------------------------------------------------------------------------------------

/// Calls visit(flat) for the number of each element that is not zero, in order. 16-bit floats: neither +0 nor -0.
template <class Visit>
void for_each_nonzero(DataType dtype, const void* data, int64_t size, Visit&& visit) {
  const auto scan = [&]<class T>(const T* elements, auto is_zero) {
    for (int64_t i = 0; i < size; ++i)
      if (!is_zero(elements[i])) visit(i);
  };
  if (dtype == DataType::kBool) return scan(static_cast<const uint8_t*>(data), [](uint8_t v) { return v == 0; });
  if (dtype == DataType::kFloat16 || dtype == DataType::kBfloat16)
    return scan(static_cast<const uint16_t*>(data), [](uint16_t bits) { return (bits & 0x7fffu) == 0; });
  with_number_type(dtype, [&]<class T>(T) { scan(static_cast<const T*>(data), [](T v) { return v == 0; }); });
}

std::vector<ir::Type> infer_non_zero(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  ir::Dims dims{input.has_rank() ? ir::Dim(std::max<int64_t>(input.rank(), 1)) : ir::Dim(), ir::Dim()};
  if (const Tensor* value = context.constant(0); value && value->dtype() != DataType::kString) {
    int64_t count = 0;
    for_each_nonzero(value->dtype(), value->bytes().data(), static_cast<int64_t>(value->size()),
                     [&](int64_t) { ++count; });
    dims[1] = count;
  }
  return {ir::Type::tensor(DataType::kInt64, std::move(dims))};
}

/// The number of results is part of the output's shape, so only what is constant can be asked.
std::unique_ptr<Kernel> prepare_non_zero(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  if (!context.constant(0)) fail(ErrorCode::kUnsupported, "the value of input 0 is only known at run time");
  const PerAxis dims = input.dims.empty() ? PerAxis{1} : input.dims;
  const int64_t count = context.outputs[0].dims[1], size = input.size();
  return compute::make_kernel([=, dtype = input.dtype](const RunArgs& args) {
    auto* output = args.output<int64_t>(0);
    int64_t found = 0;
    for_each_nonzero(dtype, args.inputs[0], size, [&](int64_t flat) {
      for (size_t d = dims.size(); d-- > 0; flat /= dims[d])
        output[static_cast<int64_t>(d) * count + found] = flat % dims[d];
      ++found;
    });
  });
}

constexpr DataTypes kNumbers = kF32 | kF64 | kIntegers;
constexpr DataTypes kSummable =
    kF32 | kF64 | types({DataType::kInt32, DataType::kInt64, DataType::kUint32, DataType::kUint64});

constexpr Operator kOperators[] = {
    {"TopK", 1, 9, kNumbers, infer_top_k, prepare_top_k},
    {"TopK", 10, kNewestOpset, kNumbers, infer_top_k, prepare_top_k, nullptr, nullptr, 0b10},
    {"CumSum", 11, kNewestOpset, kSummable, infer_cum_sum, prepare_cum_sum, nullptr, nullptr, 0b10},
    {"NonZero", 9, kNewestOpset, kNoStrings, infer_non_zero, prepare_non_zero},
};

}  // namespace

Family selection_family() { return kOperators; }

}  // namespace pli::ops
