#include "runtime/ops/selection/gather.h"

#include "runtime/compute/parallel.h"
#include "runtime/core/dispatch.h"
#include "runtime/ops/dims.h"
#include "runtime/ops/selection/indices.h"

#include <algorithm>
#include <cstring>

namespace pli::ops {

namespace {

using compute::parallel_for;
using compute::RunArgs;

constexpr int64_t kGrainBytes = 64 * 1024;

/// Row number k of each outer block of the output is row at(k) of that block of the input. T: an integer as wide as an
/// element.
template <class T, class At>
void gather_rows(const T* data, T* output, const AxisSplit& split, int64_t rows, At&& at) {
  if (split.inner == 0) return;
  const int64_t row_bytes = split.inner * static_cast<int64_t>(sizeof(T));
  parallel_for(split.outer * rows, kGrainBytes / row_bytes, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* from = data + (i / rows * split.axis + at(i % rows)) * split.inner;
      if (split.inner == 1)
        output[i] = *from;
      else
        std::memcpy(output + i * split.inner, from, static_cast<size_t>(row_bytes));
    }
  });
}

// --- Gather ----------------------------------------------------------------------------------------------------------

std::vector<ir::Type> infer_gather(const InferContext& context) {
  context.check_inputs(2, 2);
  context.check_outputs(1, 1);
  const ir::Type& data = context.type(0);
  const ir::Type& indices = index_type(context, 1);
  if (!data.dims) return {ir::Type::tensor(data.dtype)};
  const int64_t axis = normalize_axis(context.node.int_or("axis", 0), data.rank());
  check_constant_indices(context, (*data.dims)[static_cast<size_t>(axis)]);
  if (!indices.dims) return {ir::Type::tensor(data.dtype)};
  ir::Dims dims(data.dims->begin(), data.dims->begin() + axis);
  dims.insert(dims.end(), indices.dims->begin(), indices.dims->end());
  dims.insert(dims.end(), data.dims->begin() + axis + 1, data.dims->end());
  return {ir::Type::tensor(data.dtype, std::move(dims))};
}

/// One constant index: a slice without its dimension.
std::optional<std::vector<View>> view_gather(const PrepareContext& context) {
  const Tensor* indices = context.constant(1);
  if (!indices || !indices->shape().empty()) return std::nullopt;
  View view{context.inputs[0]};
  const int64_t axis = normalize_axis(context.node.int_or("axis", 0), view.desc.rank());
  const int64_t bound = view.desc.dims[static_cast<size_t>(axis)];
  const int64_t index = from_end(to_int64s(*indices)[0], bound);
  if (index < 0 || index >= bound) return std::nullopt;
  view.offset = index * view.desc.strides[static_cast<size_t>(axis)];
  view.desc.dims.erase(view.desc.dims.begin() + axis);
  view.desc.strides.erase(view.desc.strides.begin() + axis);
  if (view.desc.size() == 0) view.offset = 0;
  return std::vector{std::move(view)};
}

std::unique_ptr<Kernel> prepare_gather(const PrepareContext& context) {
  const TensorDesc& data = context.inputs[0];
  const AxisSplit split(data.dims, static_cast<size_t>(normalize_axis(context.node.int_or("axis", 0), data.rank())));
  const int64_t count = context.inputs[1].size();
  const bool wide = Indices::are_wide(context.inputs[1]);
  return with_bits_type(data.dtype, [&]<class T>(T) {
    return compute::make_kernel([split, count, wide](const RunArgs& args) {
      const Indices indices(args.inputs[1], wide);
      check_indices(indices, count, split.axis);
      gather_rows(args.input<T>(0), args.output<T>(0), split, count,
                  [&](int64_t k) { return from_end(indices[k], split.axis); });
    });
  });
}

// --- GatherElements --------------------------------------------------------------------------------------------------

std::vector<ir::Type> infer_gather_elements(const InferContext& context) {
  context.check_inputs(2, 2);
  context.check_outputs(1, 1);
  const ir::Type& data = context.type(0);
  const ir::Type& indices = index_type(context, 1);
  if (data.dims && indices.dims) {
    check_rank(context, 1, data.rank());
    const auto axis = static_cast<size_t>(normalize_axis(context.node.int_or("axis", 0), data.rank()));
    check_constant_indices(context, (*data.dims)[axis]);
    for (size_t i = 0; i < data.dims->size(); ++i) {
      const ir::Dim &have = (*data.dims)[i], &want = (*indices.dims)[i];
      if (i != axis && have.known() && want.known() && want.value() > have.value())
        fail(ErrorCode::kInvalidModel, "dimension {} is {} of the indices and {} of the data", i, want.value(),
             have.value());
    }
  }
  return {ir::Type::tensor(data.dtype, indices.dims)};
}

/// Where the rows along the last dimension of `dims` start in a row-major tensor of dimensions `data`, as if index 0 of
/// `axis` were meant everywhere.
class RowStarts {
 public:
  RowStarts(std::span<const int64_t> dims, std::span<const int64_t> data, size_t axis)
      : dims_(dims.begin(), dims.end()), strides_(compute::plain_strides(data)) {
    strides_[axis] = 0;
  }
  int64_t operator()(int64_t row) const {
    int64_t start = 0;
    for (size_t i = dims_.size() - 1; i-- > 0; row /= dims_[i]) start += row % dims_[i] * strides_[i];
    return start;
  }

 private:
  Shape dims_;
  std::vector<int64_t> strides_;
};

std::unique_ptr<Kernel> prepare_gather_elements(const PrepareContext& context) {
  const TensorDesc &data = context.inputs[0], &indices_desc = context.inputs[1];
  const auto axis = static_cast<size_t>(normalize_axis(context.node.int_or("axis", 0), data.rank()));
  const int64_t columns = indices_desc.dims.back(), size = indices_desc.size();
  const int64_t stride = compute::plain_strides(data.dims)[axis], bound = data.dims[axis];
  const int64_t column_stride = axis + 1 == data.dims.size() ? 0 : 1;
  const bool wide = Indices::are_wide(indices_desc);
  return with_bits_type(data.dtype, [&]<class T>(T) {
    return compute::make_kernel([=, starts = RowStarts(indices_desc.dims, data.dims, axis)](const RunArgs& args) {
      if (size == 0) return;
      const T* source = args.input<T>(0);
      const Indices indices(args.inputs[1], wide);
      T* output = args.output<T>(0);
      check_indices(indices, size, bound);
      parallel_for(size / columns, kGrainBytes / 8 / columns, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const T* from = source + starts(row);
          for (int64_t column = 0; column < columns; ++column) {
            const int64_t at = row * columns + column;
            output[at] = from[from_end(indices[at], bound) * stride + column * column_stride];
          }
        }
      });
    });
  });
}

// --- GatherND --------------------------------------------------------------------------------------------------------

int64_t batch_dims(const ir::Node& node, int64_t opset) {
  const int64_t batch = opset >= 12 ? node.int_or("batch_dims", 0) : 0;
  if (batch < 0) fail(ErrorCode::kInvalidModel, "batch_dims is {}", batch);
  return batch;
}

std::vector<ir::Type> infer_gather_nd(const InferContext& context) {
  context.check_inputs(2, 2);
  context.check_outputs(1, 1);
  const ir::Type& data = context.type(0);
  const ir::Type& indices = index_type(context, 1);
  const int64_t batch = batch_dims(context.node, context.opset);
  if (!data.dims || !indices.dims) return {ir::Type::tensor(data.dtype)};
  if (batch >= data.rank() || batch >= indices.rank())
    fail(ErrorCode::kInvalidModel, "batch_dims {} for data of rank {} and indices of rank {}", batch, data.rank(),
         indices.rank());
  for (size_t i = 0; i < static_cast<size_t>(batch); ++i) {
    const ir::Dim &a = (*data.dims)[i], &b = (*indices.dims)[i];
    if (a.known() && b.known() && a.value() != b.value())
      fail(ErrorCode::kInvalidModel, "batch dimension {} is {} of the data and {} of the indices", i, a.value(),
           b.value());
  }
  const ir::Dim& depth = indices.dims->back();
  if (!depth.known()) return {ir::Type::tensor(data.dtype)};
  if (depth.value() < 1 || depth.value() > data.rank() - batch)
    fail(ErrorCode::kInvalidModel, "indices of {} dimensions into data of rank {}, {} of them batches", depth.value(),
         data.rank(), batch);
  check_constant_tuples(context,
                        std::span(*data.dims).subspan(static_cast<size_t>(batch), static_cast<size_t>(depth.value())));
  ir::Dims dims(indices.dims->begin(), indices.dims->end() - 1);
  dims.insert(dims.end(), data.dims->begin() + batch + depth.value(), data.dims->end());
  return {ir::Type::tensor(data.dtype, std::move(dims))};
}

std::unique_ptr<Kernel> prepare_gather_nd(const PrepareContext& context) {
  const PerAxis& data = context.inputs[0].dims;
  const PerAxis& indices_dims = context.inputs[1].dims;
  const auto batch = static_cast<size_t>(batch_dims(context.node, context.opset));
  const int64_t depth = indices_dims.back();
  const std::span dims(data);
  const std::vector<int64_t> bounds(data.begin() + static_cast<int64_t>(batch),
                                    data.begin() + static_cast<int64_t>(batch) + depth);
  const int64_t batches = *checked_size(dims.first(batch));
  const int64_t tuples = context.inputs[1].size() / indices_dims.back();
  const int64_t inner = *checked_size(dims.subspan(batch + static_cast<size_t>(depth)));
  const int64_t block = *checked_size(bounds);  // tuples address so many rows of `inner` elements in each batch
  const bool wide = Indices::are_wide(context.inputs[1]);
  return with_bits_type(context.inputs[0].dtype, [&]<class T>(T) {
    return compute::make_kernel([=](const RunArgs& args) {
      const Indices indices(args.inputs[1], wide);
      for (int64_t i = 0; i < depth; ++i) check_indices(indices, tuples, bounds[static_cast<size_t>(i)], i, depth);
      const int64_t per_batch = batches > 0 ? tuples / batches : 0;
      const AxisSplit rows(1, batches * block, inner);
      gather_rows(args.input<T>(0), args.output<T>(0), rows, tuples, [&](int64_t tuple) {
        int64_t row = 0;
        for (int64_t i = 0; i < depth; ++i) {
          const int64_t bound = bounds[static_cast<size_t>(i)];
          row = row * bound + from_end(indices[tuple * depth + i], bound);
        }
        return tuple / per_batch * block + row;
      });
    });
  });
}

// --- Compress --------------------------------------------------------------------------------------------------------

/// The rows that a Compress keeps; nothing when the condition is only known at run time.
std::optional<std::vector<int64_t>> kept_rows(const ir::Graph& graph, const ir::Node& node) {
  const Tensor* condition = graph.constant_of(node.input(1));
  if (!condition) return std::nullopt;
  if (condition->dtype() != DataType::kBool || condition->shape().size() != 1)
    fail(ErrorCode::kInvalidModel, "the condition is {} of rank {}", to_string(condition->dtype()),
         condition->shape().size());
  std::vector<int64_t> rows;
  const std::vector<int64_t> flags = to_int64s(*condition);
  for (size_t i = 0; i < flags.size(); ++i)
    if (flags[i]) rows.push_back(static_cast<int64_t>(i));
  return rows;
}

std::vector<ir::Type> infer_compress(const InferContext& context) {
  context.check_inputs(2, 2);
  context.check_outputs(1, 1);
  const ir::Type& data = context.type(0);
  const auto rows = kept_rows(context.graph, context.node);
  const ir::Dim count = rows ? ir::Dim(static_cast<int64_t>(rows->size())) : ir::Dim();
  const auto check = [&](int64_t bound) {
    if (rows && !rows->empty() && rows->back() >= bound)
      fail(ErrorCode::kInvalidModel, "the condition keeps row {} of {}", rows->back(), bound);
  };
  if (!context.node.attribute("axis")) {
    const auto shape = data.shape();
    if (const auto size = shape ? checked_size(*shape) : std::nullopt) check(*size);
    return {ir::Type::tensor(data.dtype, ir::Dims{count})};
  }
  if (!data.dims) return {ir::Type::tensor(data.dtype)};
  ir::Dims dims = *data.dims;
  ir::Dim& dim = dims[static_cast<size_t>(normalize_axis(context.node.int_or("axis", 0), data.rank()))];
  if (dim.known()) check(dim.value());
  dim = count;
  return {ir::Type::tensor(data.dtype, std::move(dims))};
}

std::unique_ptr<Kernel> prepare_compress(const PrepareContext& context) {
  const TensorDesc& data = context.inputs[0];
  const auto rows = need(kept_rows(context.graph, context.node), 1);
  const bool flat = context.node.attribute("axis") == nullptr;
  const AxisSplit split =
      flat ? AxisSplit(1, data.size(), 1)
           : AxisSplit(data.dims, static_cast<size_t>(normalize_axis(context.node.int_or("axis", 0), data.rank())));
  return with_bits_type(data.dtype, [&]<class T>(T) {
    return compute::make_kernel([rows, split](const RunArgs& args) {
      gather_rows(args.input<T>(0), args.output<T>(0), split, static_cast<int64_t>(rows.size()),
                  [&](int64_t k) { return rows[static_cast<size_t>(k)]; });
    });
  });
}

// --- OneHot ----------------------------------------------------------------------------------------------------------

/// The number of classes: one element of any numeric type. Nothing when it is only known at run time.
std::optional<int64_t> one_hot_depth(const ir::Graph& graph, const ir::Node& node) {
  const Tensor* tensor = graph.constant_of(node.input(1));
  if (!tensor) return std::nullopt;
  if (tensor->size() != 1) fail(ErrorCode::kInvalidModel, "depth has {} elements", tensor->size());
  const double depth = is_float(tensor->dtype()) ? to_doubles(*tensor)[0] : static_cast<double>(to_int64s(*tensor)[0]);
  if (!(depth >= 0 && depth < 0x1p53)) fail(ErrorCode::kInvalidModel, "depth is {}", depth);
  return static_cast<int64_t>(depth);
}

std::vector<ir::Type> infer_one_hot(const InferContext& context) {
  context.check_inputs(3, 3);
  context.check_outputs(1, 1);
  const ir::Type& indices = context.type(0);
  check_rank(context, 2, 1);
  const DataType dtype = context.type(2).dtype;
  if (context.type(2).dims && context.type(2).dims->front().known() && context.type(2).dims->front().value() != 2)
    fail(ErrorCode::kInvalidModel, "{} values where off and on are expected", context.type(2).dims->front().value());
  const auto depth = one_hot_depth(context.graph, context.node);
  if (!indices.dims) return {ir::Type::tensor(dtype)};
  ir::Dims dims = *indices.dims;
  const int64_t axis = normalize_axis(context.node.int_or("axis", -1), indices.rank() + 1);
  dims.insert(dims.begin() + axis, depth ? ir::Dim(*depth) : ir::Dim());
  return {ir::Type::tensor(dtype, std::move(dims))};
}

/// Element i as a number.
template <class T>
double number_at(const void* data, int64_t i) {
  return static_cast<double>(static_cast<const T*>(data)[i]);
}

std::unique_ptr<Kernel> prepare_one_hot(const PrepareContext& context) {
  const TensorDesc& output_desc = context.outputs[0];
  const auto axis = static_cast<size_t>(normalize_axis(context.node.int_or("axis", -1), output_desc.rank()));
  const AxisSplit split(output_desc.dims, axis);
  const int64_t size = output_desc.size(), count = context.inputs[0].size();
  const auto index_at = with_number_type(context.inputs[0].dtype, []<class Index>(Index) { return number_at<Index>; });
  return with_bits_type(output_desc.dtype, [&]<class T>(T) {
    return compute::make_kernel([=](const RunArgs& args) {
      const T off = args.input<T>(2)[0], on = args.input<T>(2)[1];
      T* output = args.output<T>(0);
      std::fill_n(output, size, off);
      for (int64_t i = 0; i < count; ++i) {
        const auto depth = static_cast<double>(split.axis);
        const double index = index_at(args.inputs[0], i);
        if (!(index >= -depth && index < depth)) continue;  // NaN too
        const int64_t at = from_end(static_cast<int64_t>(index), split.axis);
        output[(i / split.inner * split.axis + at) * split.inner + i % split.inner] = on;
      }
    });
  });
}

constexpr DataTypes kNumbers = kF32 | kF64 | kIntegers;

constexpr Operator kOperators[] = {
    {"Gather", 1, kNewestOpset, kMovable, infer_gather, prepare_gather, nullptr, view_gather},
    {"GatherElements", 11, kNewestOpset, kMovable, infer_gather_elements, prepare_gather_elements},
    {"GatherND", 11, kNewestOpset, kMovable, infer_gather_nd, prepare_gather_nd},
    {"Compress", 9, kNewestOpset, kMovable, infer_compress, prepare_compress, nullptr, nullptr, 0b10},
    {"OneHot", 9, kNewestOpset, kNumbers, infer_one_hot, prepare_one_hot, nullptr, nullptr, 0b10},
};

}  // namespace

Family gather_family() { return kOperators; }

}  // namespace pli::ops
