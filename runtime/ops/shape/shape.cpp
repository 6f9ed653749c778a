#include "runtime/ops/shape/shape.h"

#include "runtime/compute/copy.h"
#include "runtime/core/dispatch.h"
#include "runtime/ops/dims.h"
#include "runtime/ops/movement/movement.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace pli::ops {

namespace {

using compute::RunArgs;

/// A kernel that writes `value`, row-major.
std::unique_ptr<Kernel> write(Tensor value) {
  return compute::make_kernel([value = std::move(value)](const RunArgs& args) {
    const auto bytes = value.bytes();
    if (!bytes.empty()) std::memcpy(args.outputs[0], bytes.data(), bytes.size());
  });
}

// --- Shape, Size -----------------------------------------------------------------------------------------------------

/// The dimensions that a Shape node takes: [begin, end). From opset 15 on it has start and end; both are clamped.
struct DimRange {
  int64_t begin, end;
};

DimRange shape_range(const ir::Node& node, int64_t opset, int64_t rank) {
  if (opset < 15) return {0, rank};
  const auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t begin = clamp(node.int_or("start", 0));
  return {begin, std::max(begin, clamp(node.int_or("end", rank)))};
}

std::vector<ir::Type> infer_shape(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  const ir::Type& type = context.type(0);
  if (!type.has_rank()) return {ir::Type::tensor(DataType::kInt64, ir::Dims(1))};
  const DimRange range = shape_range(context.node, context.opset, type.rank());
  return {ir::Type::tensor(DataType::kInt64, ir::Dims{range.end - range.begin})};
}

std::unique_ptr<Kernel> prepare_shape(const PrepareContext& context) {
  const PerAxis& dims = context.inputs[0].dims;
  const DimRange range = shape_range(context.node, context.opset, context.inputs[0].rank());
  return write(int64_tensor(
      std::span(dims).subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.end - range.begin))));
}

std::vector<ir::Type> infer_size(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  return {ir::Type::tensor(DataType::kInt64, ir::Dims{})};
}

std::unique_ptr<Kernel> prepare_size(const PrepareContext& context) {
  const int64_t size = context.inputs[0].size();
  return write(Tensor::copy<int64_t>({}, std::span(&size, 1)));
}

// --- Constant --------------------------------------------------------------------------------------------------------

/// The graph knows the value of every form; what it does not know (sparse tensors) has no type here.
std::vector<ir::Type> infer_constant(const InferContext& context) {
  context.check_inputs(0, 0);
  context.check_outputs(1, 1);
  if (const Tensor* value = context.graph.constant_of(context.node.outputs[0])) return {ir::Type::of(*value)};
  if (context.node.attributes.empty()) fail(ErrorCode::kInvalidModel, "no attribute holds the value");
  return {ir::Type{}};
}

std::unique_ptr<Kernel> prepare_constant(const PrepareContext& context) {
  const Tensor* value = context.graph.constant_of(context.node.output(0));
  if (!value || value->dtype() == DataType::kString) fail(ErrorCode::kUnsupported, "a constant of this form");
  return write(*value);
}

// --- ConstantOfShape, Range, EyeLike ---------------------------------------------------------------------------------

Tensor fill_value(const ir::Node& node) {
  const ir::Attribute* attribute = node.attribute("value");
  if (!attribute) return Tensor(DataType::kFloat32, {1});
  const Tensor* value = std::get_if<Tensor>(&attribute->value);
  if (!value || value->size() != 1) fail(ErrorCode::kInvalidModel, "attribute value is no tensor of one element");
  return *value;
}

std::vector<ir::Type> infer_constant_of_shape(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  const DataType dtype = fill_value(context.node).dtype();
  const auto unknown = dims_of_shape(context, 0);
  if (const auto shape = constant_ints(context.graph, context.node, 0)) {
    for (const int64_t dim : *shape)
      if (dim < 0) fail(ErrorCode::kInvalidModel, "dimension {} of the shape is negative", dim);
    return {ir::Type::tensor(dtype, ir::Dims(shape->begin(), shape->end()))};
  }
  return {ir::Type::tensor(dtype, unknown)};
}

std::unique_ptr<Kernel> prepare_constant_of_shape(const PrepareContext& context) {
  const Shape dims{context.outputs[0].size()};
  const std::vector<int64_t> once{1}, repeat{0};
  compute::StridedCopy copy(context.outputs[0].dtype, dims, repeat, once);
  return compute::make_kernel([copy, value = fill_value(context.node)](const RunArgs& args) {
    copy.run(value.bytes().data(), args.outputs[0]);
  });
}

/// A scalar operand of Range; exporters also write it as a tensor of one element.
const Tensor& scalar(const Tensor& tensor) {
  if (tensor.size() != 1)
    fail(ErrorCode::kInvalidModel, "an operand has {} elements where one is expected", tensor.size());
  return tensor;
}

/// max(ceil((limit - start) / delta), 0). kInvalidModel when that is no number; INT64_MAX for all that is larger.
template <class T>
int64_t range_length(T start, T limit, T delta) {
  if (delta == 0) fail(ErrorCode::kInvalidModel, "delta is 0");
  if constexpr (std::is_floating_point_v<T>) {
    const double count =
        std::ceil((static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(delta));
    if (std::isnan(count))
      fail(ErrorCode::kInvalidModel, "start {}, limit {} and delta {} make no range", start, limit, delta);
    return count < 0x1p62 ? static_cast<int64_t>(std::max(count, 0.0)) : INT64_MAX;
  } else {
    __extension__ using Wide = __int128;
    const Wide distance = Wide{limit} - start;
    const Wide count = distance / delta + ((distance % delta != 0 && (distance < 0) == (delta < 0)) ? 1 : 0);
    return static_cast<int64_t>(std::clamp<Wide>(count, 0, INT64_MAX));
  }
}

std::vector<ir::Type> infer_range(const InferContext& context) {
  context.check_inputs(3, 3);
  context.check_outputs(1, 1);
  const DataType dtype = context.type(0).dtype;
  for (size_t i = 1; i < 3; ++i)
    if (context.type(i).dtype != dtype && context.type(i).dtype != DataType::kUndefined &&
        dtype != DataType::kUndefined)
      fail(ErrorCode::kInvalidModel, "input {} is {} and input 0 {}", i, to_string(context.type(i).dtype),
           to_string(dtype));
  const Tensor *start = context.constant(0), *limit = context.constant(1), *delta = context.constant(2);
  if (!start || !limit || !delta) {
    const auto& end = context.graph.value(context.node.inputs[1]).elements;
    const auto is = [](const Tensor* tensor, int64_t value) {
      return tensor && is_integer(tensor->dtype()) && to_int64s(scalar(*tensor))[0] == value;
    };
    const bool counts = is(start, 0) && is(delta, 1) && end && end->size() == 1 && end->front().symbolic();
    return {ir::Type::tensor(dtype, ir::Dims{counts ? end->front() : ir::Dim()})};
  }
  const auto length_of = [&](const auto& values) {
    return range_length(values(scalar(*start))[0], values(scalar(*limit))[0], values(scalar(*delta))[0]);
  };
  const int64_t length = is_float(dtype) ? length_of(to_doubles) : length_of(to_int64s);
  return {ir::Type::tensor(dtype, ir::Dims{length})};
}

std::unique_ptr<Kernel> prepare_range(const PrepareContext& context) {
  const auto count = static_cast<uint64_t>(context.outputs[0].size());
  return with_number_type(context.inputs[0].dtype, [&]<class T>(T) {
    return compute::make_kernel([count](const RunArgs& args) {
      const T start = *args.input<T>(0), delta = *args.input<T>(2);
      T* output = args.output<T>(0);
      for (uint64_t i = 0; i < count; ++i) {
        if constexpr (std::is_floating_point_v<T>)
          output[i] = static_cast<T>(static_cast<double>(start) + static_cast<double>(i) * static_cast<double>(delta));
        else  // modulo 2^64: no element is outside of [start, limit]
          output[i] = static_cast<T>(static_cast<uint64_t>(start) + i * static_cast<uint64_t>(delta));
      }
    });
  });
}

DataType eye_type(const ir::Node& node, DataType input) {
  if (!node.attribute("dtype")) return input;
  const int64_t number = node.int_or("dtype", 0);
  if (number < 1 || number > static_cast<int64_t>(DataType::kInt2))
    fail(ErrorCode::kInvalidModel, "dtype {} is no element type", number);
  return static_cast<DataType>(number);
}

std::vector<ir::Type> infer_eye_like(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  check_rank(context, 0, 2);
  return {ir::Type::tensor(eye_type(context.node, context.type(0).dtype), context.type(0).dims)};
}

std::unique_ptr<Kernel> prepare_eye_like(const PrepareContext& context) {
  const DataType dtype = context.outputs[0].dtype;
  uint64_t bits = 1;
  if (is_float(dtype)) {
    const Tensor one = from_doubles(dtype, {1}, std::vector{1.0});
    bits = 0;
    std::memcpy(&bits, one.bytes().data(), one.bytes().size());
  }
  const int64_t rows = context.outputs[0].dims[0], columns = context.outputs[0].dims[1];
  const int64_t k = context.node.int_or("k", 0);
  return with_bits_type(dtype, [&]<class T>(T) {
    return compute::make_kernel([=](const RunArgs& args) {
      T* output = args.output<T>(0);
      std::fill_n(output, rows * columns, T{0});
      if (k <= -rows || k >= columns) return;
      for (int64_t row = std::max<int64_t>(0, -k); row < rows && row + k < columns; ++row)
        output[row * columns + row + k] = static_cast<T>(bits);
    });
  });
}

// --- what shapes alone decide ----------------------------------------------------------------------------------------

/// The elements of a Shape node's result; nothing while not even the rank is known.
std::optional<ir::Dims> shape_elements(const ir::Graph& graph, const ir::Node& node) {
  if (!node.input(0)) return std::nullopt;
  const ir::Type& type = graph.type(node.input(0));
  if (!type.has_rank()) return std::nullopt;
  const DimRange range = shape_range(node, graph.opset(""), type.rank());
  return ir::Dims(type.dims->begin() + range.begin, type.dims->begin() + range.end);
}

constexpr size_t kMostElements = 1024;  // shapes have few, and nobody needs them more often

/// The elements of a value as far as they are known, as ValueRecord::elements says it.
std::optional<ir::Dims> elements_held(const ir::Graph& graph, ir::ValueId value) {
  if (!value) return std::nullopt;
  if (const Tensor* constant = graph.constant_of(value)) {
    if (!is_integer(constant->dtype()) || constant->shape().size() > 1 || constant->size() > kMostElements)
      return std::nullopt;
    const std::vector<int64_t> elements = to_int64s(*constant);
    return ir::Dims(elements.begin(), elements.end());
  }
  if (const auto& elements = graph.value(value).elements) return elements;
  const ir::NodeId producer = graph.producer(value);
  return producer && graph.node(producer).is("Shape") ? shape_elements(graph, graph.node(producer)) : std::nullopt;
}

std::optional<ir::Dims> gathered(const ir::Graph& graph, const ir::Node& node, const ir::Dims& elements) {
  const int64_t axis = node.int_or("axis", 0);
  const auto indices = elements_held(graph, node.input(1));
  if (!indices || (axis != 0 && axis != -1)) return std::nullopt;
  const auto count = static_cast<int64_t>(elements.size());
  ir::Dims picked;
  for (const ir::Dim& index : *indices) {
    if (!index.known() || index.value() < -count || index.value() >= count) return std::nullopt;
    picked.push_back(elements[static_cast<size_t>(index.value() < 0 ? index.value() + count : index.value())]);
  }
  return picked;
}

std::optional<ir::Dims> sliced(const ir::Graph& graph, const ir::Node& node, const ir::Dims& elements) {
  const auto view = SliceView::of(graph, node);
  if (!view) return std::nullopt;
  const SliceRange range = view->ranges(std::array{static_cast<int64_t>(elements.size())}).front();
  ir::Dims picked;
  for (int64_t i = 0; i < range.count; ++i)
    picked.push_back(elements[static_cast<size_t>(range.start + i * range.step)]);
  return picked;
}

std::optional<ir::Dims> joined(const ir::Graph& graph, const ir::Node& node) {
  ir::Dims all;
  for (const ir::ValueId input : node.inputs) {
    const auto elements = elements_held(graph, input);
    if (!elements) return std::nullopt;
    if (all.size() + elements->size() > kMostElements) return std::nullopt;
    all.insert(all.end(), elements->begin(), elements->end());
  }
  return all;
}

/// An operand that changes nothing leaves a symbol as it is; of others there are products.
ir::Dim computed(const ir::Node& node, const ir::Dim& a, const ir::Dim& b) {
  const auto is = [](const ir::Dim& dim, int64_t value) { return dim.known() && dim.value() == value; };
  const bool product = node.is("Mul");
  if (is(b, product || node.is("Div") ? 1 : 0)) return a;
  if ((product && is(a, 1)) || (node.is("Add") && is(a, 0))) return b;
  if (!a.known() || !b.known())
    return product ? multiply(a, b) : node.is("Div") && b.known() ? divide_exactly(a, b) : ir::Dim();
  std::optional<int64_t> result;
  if (product) result = checked_mul(a.value(), b.value());
  if (node.is("Add")) result = checked_add(a.value(), b.value());
  if (node.is("Sub") && b.value() != INT64_MIN) result = checked_add(a.value(), -b.value());
  if (node.is("Div") && b.value() > 0) result = a.value() / b.value();
  return result ? ir::Dim(*result) : ir::Dim();
}

std::optional<ir::Dims> computed(const ir::Graph& graph, const ir::Node& node) {
  const auto a = elements_held(graph, node.input(0)), b = elements_held(graph, node.input(1));
  if (!a || !b || (a->size() != b->size() && a->size() != 1 && b->size() != 1)) return std::nullopt;
  ir::Dims result;
  for (size_t i = 0; i < std::max(a->size(), b->size()) && !a->empty() && !b->empty(); ++i)
    result.push_back(computed(node, (*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]));
  return result;
}

/// Of a Where whose condition is an Equal, as exporters write it around the shape of an Expand: -1 becomes 1.
std::optional<ir::Dims> chosen(const ir::Graph& graph, const ir::Node& node) {
  const ir::NodeId maker = node.input(0) ? graph.producer(node.inputs[0]) : ir::NodeId{};
  if (!maker || !graph.node(maker).is("Equal")) return std::nullopt;
  const ir::Node& equal = graph.node(maker);
  const auto a = elements_held(graph, equal.input(0)), b = elements_held(graph, equal.input(1));
  const auto x = elements_held(graph, node.input(1)), y = elements_held(graph, node.input(2));
  if (!a || !b || !x || !y || b->size() != a->size() || x->size() != a->size() || y->size() != a->size())
    return std::nullopt;
  const auto negative = [](const ir::Dim& dim) { return dim.known() && dim.value() < 0; };
  ir::Dims result;
  for (size_t i = 0; i < a->size(); ++i) {
    const ir::Dim &left = (*a)[i], &right = (*b)[i];
    const bool differ = (left.known() && right.known() && !(left == right)) || (left.symbolic() && negative(right)) ||
                        (right.symbolic() && negative(left));
    result.push_back(left == right ? (*x)[i] : differ ? (*y)[i] : ir::Dim());
  }
  return result;
}

/// By numbers that a type can hold: others wrap around.
std::optional<ir::Dims> narrowed(std::optional<ir::Dims> elements, DataType dtype) {
  if (elements && dtype == DataType::kInt32)
    for (ir::Dim& dim : *elements)
      if (dim.known() && (dim.value() < INT32_MIN || dim.value() > INT32_MAX)) dim = {};
  return elements;
}

constexpr DataTypes kInt64Only = types({DataType::kInt64});
constexpr DataTypes kRangeTypes = kF32 | kF64 | types({DataType::kInt16, DataType::kInt32, DataType::kInt64});

constexpr Operator kOperators[] = {
    {"Shape", 1, kNewestOpset, kMovable, infer_shape, prepare_shape, follow_layouts, nullptr, 0, kNoEpilogue, 0b1},
    {"Size", 1, kNewestOpset, kMovable, infer_size, prepare_size, follow_layouts, nullptr, 0, kNoEpilogue, 0b1},
    {"Constant", 1, kNewestOpset, kMovable, infer_constant, prepare_constant},
    {"ConstantOfShape", 9, kNewestOpset, kInt64Only, infer_constant_of_shape, prepare_constant_of_shape, nullptr,
     nullptr, 0b1},
    {"Range", 11, kNewestOpset, kRangeTypes, infer_range, prepare_range, nullptr, nullptr, 0b111},
    {"EyeLike", 9, kNewestOpset, kNoStrings, infer_eye_like, prepare_eye_like, follow_layouts, nullptr, 0, kNoEpilogue,
     0b1},
};

}  // namespace

Family shape_family() { return kOperators; }

std::optional<ir::Dims> elements_of(const ir::Graph& graph, const ir::Node& node) {
  if (!node.is_onnx() || !node.output(0)) return std::nullopt;
  if (node.is("Shape")) return shape_elements(graph, node);
  if (node.is("Size")) {
    const auto shape = node.input(0) ? graph.type(node.input(0)).shape() : std::nullopt;
    const auto size = shape ? checked_size(*shape) : std::nullopt;
    return size ? std::optional(ir::Dims{*size}) : std::nullopt;
  }
  const ir::Type& type = graph.type(node.outputs[0]);
  if ((type.dtype != DataType::kInt64 && type.dtype != DataType::kInt32) || !type.has_rank() || type.rank() > 1)
    return std::nullopt;
  if (node.is("Concat")) return joined(graph, node);
  if (node.is("Where")) return chosen(graph, node);
  const bool arithmetic = node.is("Add") || node.is("Sub") || node.is("Mul") || node.is("Div");
  if (arithmetic && graph.opset("") >= kNumpyBroadcasting) return narrowed(computed(graph, node), type.dtype);
  const bool moves = node.is("Identity") || node.is("Reshape") || node.is("Squeeze") || node.is("Unsqueeze");
  if (!moves && !node.is("Cast") && !node.is("Gather") && !node.is("Slice")) return std::nullopt;
  auto elements = elements_held(graph, node.input(0));
  if (!elements) return std::nullopt;
  if (node.is("Gather")) return gathered(graph, node, *elements);
  if (node.is("Slice")) return sliced(graph, node, *elements);
  return narrowed(std::move(elements), type.dtype);
}

std::optional<Tensor> value_of_shape(const ir::Graph& graph, const ir::Node& node) {
  const auto elements = elements_of(graph, node);
  if (!elements) return std::nullopt;
  const auto count = static_cast<int64_t>(elements->size());
  const ir::Type& type = graph.type(node.outputs[0]);
  const auto shape = node.is("Shape") ? Shape{count} : node.is("Size") ? Shape{} : type.shape();
  if (!shape || checked_size(*shape) != count) return std::nullopt;
  std::vector<int64_t> numbers;
  for (const ir::Dim& dim : *elements) {
    if (!dim.known()) return std::nullopt;
    numbers.push_back(dim.value());
  }
  if (type.dtype != DataType::kInt32) return int64_tensor(numbers).reshaped(*shape);
  return Tensor::copy<int32_t>(*shape, std::vector<int32_t>(numbers.begin(), numbers.end()));
}

}  // namespace pli::ops
