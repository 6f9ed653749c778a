#include "runtime/ops/dims.h"

#include <algorithm>

namespace pli::ops {

using compute::channels_last;
using compute::plain;

std::optional<std::vector<int64_t>> constant_ints(const ir::Graph& graph, const ir::Node& node, size_t input) {
  const Tensor* tensor = graph.constant_of(node.input(input));
  if (!tensor) return std::nullopt;
  if (!is_integer(tensor->dtype()) || tensor->shape().size() > 1)
    fail(ErrorCode::kInvalidModel, "input {} is {} {} where a list of integers is expected", input,
         to_string(tensor->dtype()), to_string(tensor->shape()));
  return to_int64s(*tensor);
}

std::optional<int64_t> constant_int(const ir::Graph& graph, const ir::Node& node, size_t input) {
  const auto values = constant_ints(graph, node, input);
  if (!values) return std::nullopt;
  if (values->size() != 1)
    fail(ErrorCode::kInvalidModel, "input {} has {} elements where one is expected", input, values->size());
  return values->front();
}

const ir::Type& index_type(const InferContext& context, size_t i) {
  const ir::Type& type = context.type(i);
  const bool fits =
      type.dtype == DataType::kInt32 || type.dtype == DataType::kInt64 || type.dtype == DataType::kUndefined;
  if (!fits)
    fail(ErrorCode::kInvalidModel, "input {} is {} where int32 or int64 is expected", i, to_string(type.dtype));
  return type;
}

void check_rank(const InferContext& context, size_t i, int64_t rank) {
  const ir::Type& type = context.type(i);
  if (type.has_rank() && type.rank() != rank)
    fail(ErrorCode::kInvalidModel, "input {} has rank {} where {} is expected", i, type.rank(), rank);
}

std::vector<int64_t> normalize_axes(std::vector<int64_t> axes, int64_t rank) {
  std::vector<bool> seen(static_cast<size_t>(rank));
  for (int64_t& axis : axes) {
    axis = normalize_axis(axis, rank);
    if (seen[static_cast<size_t>(axis)]) fail(ErrorCode::kInvalidModel, "axis {} is given twice", axis);
    seen[static_cast<size_t>(axis)] = true;
  }
  return axes;
}

ir::Dim add(const ir::Dim& a, const ir::Dim& b) {
  if (a.known() && a.value() == 0) return b;
  if (b.known() && b.value() == 0) return a;
  if (!a.known() || !b.known()) return {};
  const auto sum = checked_add(a.value(), b.value());
  if (!sum) fail(ErrorCode::kInvalidModel, "{} + {} overflows", a.value(), b.value());
  return *sum;
}

namespace {

/// A number above zero times sizes that have names, which are in order.
struct Product {
  int64_t number = 1;
  std::vector<std::string> names{};
};

constexpr size_t kMostNames = 8, kLongestName = 64;

/// Adds a factor: digits, or a name of letters, digits, underscores and dots.
bool add_factor(Product& product, const std::string& factor) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto fits = [&](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.';
  };
  if (factor.empty() || factor.size() > kLongestName || !std::ranges::all_of(factor, fits)) return false;
  if (!is_digit(factor.front())) {
    product.names.push_back(factor);
    return product.names.size() <= kMostNames;
  }
  constexpr size_t kMostDigits = 18;
  if (factor.size() > kMostDigits || !std::ranges::all_of(factor, is_digit)) return false;
  const auto number = checked_mul(product.number, std::stoll(factor));
  product.number = number.value_or(0);
  return product.number > 0;
}

std::optional<Product> product_of(const ir::Dim& dim) {
  Product product;
  if (dim.known()) product.number = dim.value();
  if (dim.known()) return product.number > 0 ? std::optional(product) : std::nullopt;
  if (!dim.symbolic()) return std::nullopt;
  const std::string& symbol = dim.symbol();
  for (size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
    end = symbol.find('*', begin);
    if (!add_factor(product, symbol.substr(begin, end == std::string::npos ? end : end - begin))) return std::nullopt;
  }
  std::ranges::sort(product.names);
  return product.names.empty() ? std::nullopt : std::optional(product);
}

ir::Dim dim_of(const Product& product) {
  if (product.names.empty()) return product.number;
  std::string symbol = product.number == 1 ? "" : std::to_string(product.number);
  for (const std::string& name : product.names) symbol += (symbol.empty() ? "" : "*") + name;
  return symbol;
}

}  // namespace

ir::Dim multiply(const ir::Dim& a, const ir::Dim& b) {
  if (a.known() && a.value() == 1) return b;
  if (b.known() && b.value() == 1) return a;
  if (!a.known() || !b.known()) {
    auto product = product_of(a);
    const auto other = product ? product_of(b) : std::nullopt;
    const auto number = other ? checked_mul(product->number, other->number) : std::nullopt;
    if (!number || product->names.size() + other->names.size() > kMostNames) return {};
    product->number = *number;
    product->names.insert(product->names.end(), other->names.begin(), other->names.end());
    std::ranges::sort(product->names);
    return dim_of(*product);
  }
  const auto product = checked_mul(a.value(), b.value());
  if (!product) fail(ErrorCode::kInvalidModel, "{} x {} overflows", a.value(), b.value());
  return *product;
}

ir::Dim divide_exactly(const ir::Dim& product, const ir::Dim& factor) {
  auto result = product_of(product);
  const auto divisor = result ? product_of(factor) : std::nullopt;
  if (!divisor || result->number % divisor->number != 0) return {};
  result->number /= divisor->number;
  for (const std::string& name : divisor->names) {
    const auto found = std::ranges::find(result->names, name);
    if (found == result->names.end()) return {};
    result->names.erase(found);
  }
  return dim_of(*result);
}

ir::Dim minimum(int64_t number, const ir::Dim& size) {
  if (!size.symbolic() || size.symbol().size() > kLongestName || number < 0) return {};
  return "Min(" + std::to_string(number) + ", " + size.symbol() + ")";
}

bool is_minimum_with(const ir::Dim& dim, const ir::Dim& size) {
  if (!dim.symbolic() || !size.symbolic()) return false;
  std::string_view text = dim.symbol();
  const std::string end = ", " + size.symbol() + ")";
  if (!text.starts_with("Min(") || !text.ends_with(end) || text.size() < 5 + end.size()) return false;
  text.remove_prefix(4);
  text.remove_suffix(end.size());
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

ir::Dims unknown_dims(const InferContext& context, int64_t rank) {
  if (rank < 0) fail(ErrorCode::kInvalidModel, "a rank of {}", rank);
  if (rank > context.limits.rank)
    fail(ErrorCode::kResourceLimit, "rank {} passes the limit of {}", rank, context.limits.rank);
  return ir::Dims(static_cast<size_t>(rank));
}

std::optional<ir::Dims> dims_of_shape(const InferContext& context, size_t i) {
  check_rank(context, i, 1);
  const ir::Type& type = context.type(i);
  if (!type.has_rank() || !type.dims->front().known()) return std::nullopt;
  ir::Dims dims = unknown_dims(context, type.dims->front().value());
  const auto& elements = context.graph.value(context.node.inputs[i]).elements;
  if (!elements || elements->size() != dims.size()) return dims;
  for (size_t d = 0; d < dims.size(); ++d)
    if ((*elements)[d].symbolic() || ((*elements)[d].known() && (*elements)[d].value() >= 0)) dims[d] = (*elements)[d];
  return dims;
}

bool is_channels_innermost(const TensorDesc& desc) {
  if (desc.rank() < 3 || desc.rank() > 5 || compute::is_plain(desc)) return false;
  return compute::is_channels_last(compute::laid_out_like(desc.dtype, desc.dims, desc));
}

Layouts follow_layouts(const PrepareContext& context) {
  const auto tells = [](const TensorDesc& desc) {
    return desc.present() && desc.rank() >= 3 && desc.rank() <= 5 && !compute::is_plain(desc);
  };
  const auto lead = std::ranges::find_if(context.inputs, tells);
  const bool last = lead != context.inputs.end() && is_channels_innermost(*lead);
  Layouts layouts{context.inputs, {}};
  for (const TensorDesc& desc : context.outputs) {
    const bool image = desc.present() && desc.rank() >= 3 && desc.rank() <= 5;
    layouts.outputs.push_back(image && last ? channels_last(desc.dtype, desc.dims) : plain(desc.dtype, desc.dims));
  }
  return layouts;
}

}  // namespace pli::ops
