#include "passes/merge_linear.h"

#include "passes/affine/settle.h"
#include "passes/combined_weight.h"
#include "passes/narrow_weight.h"
#include "passes/pass.h"
#include "passes/replace_node.h"
#include "runtime/core/checked.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/linear/convolution.h"
#include "runtime/ops/linear/matmul.h"

#include <algorithm>

namespace pli::passes {

namespace {

using ops::ConvView;
using ops::GemmView;
using ops::Window;

using Numbers = std::vector<double>;

/// A weight as a matrix of `rows` by `columns`, each of which is a number for each of `taps`.
struct Matrix {
  int64_t rows = 0, columns = 0, taps = 1;
  Numbers numbers{};

  int64_t size() const { return rows * columns * taps; }
};

/// The matrix product; where elements are lists of taps, one of the two has one tap, by which the other's are scaled.
Matrix product_of(const Matrix& a, const Matrix& b) {
  Matrix result{a.rows, b.columns, std::max(a.taps, b.taps)};
  result.numbers.resize(static_cast<size_t>(result.size()));
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t m = 0; m < a.columns; ++m) {
      const double* left = &a.numbers[static_cast<size_t>((i * a.columns + m) * a.taps)];
      const double* right = &b.numbers[static_cast<size_t>(m * b.columns * b.taps)];
      double* to = &result.numbers[static_cast<size_t>(i * result.columns * result.taps)];
      for (int64_t j = 0; j < b.columns; ++j)
        for (int64_t t = 0; t < result.taps; ++t)
          to[j * result.taps + t] += left[a.taps == 1 ? 0 : t] * right[j * b.taps + (b.taps == 1 ? 0 : t)];
    }
  return result;
}

/// Rows of a matrix, each times a number, added up over columns and taps; nothing counts as zeros.
Numbers product_of(const Matrix& a, const Numbers& column) {
  Numbers result(static_cast<size_t>(a.rows), 0.0);
  for (int64_t i = 0; i < a.rows && !column.empty(); ++i)
    for (int64_t m = 0; m < a.columns; ++m)
      for (int64_t t = 0; t < a.taps; ++t)
        result[static_cast<size_t>(i)] +=
            a.numbers[static_cast<size_t>((i * a.columns + m) * a.taps + t)] * column[static_cast<size_t>(m)];
  return result;
}

Matrix transposed(const Matrix& a) {
  Matrix result{a.columns, a.rows, 1, Numbers(a.numbers.size())};
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.columns; ++j)
      result.numbers[static_cast<size_t>(j * a.rows + i)] = a.numbers[static_cast<size_t>(i * a.columns + j)];
  return result;
}

void add(Numbers& to, const Numbers& numbers) {
  for (size_t i = 0; i < numbers.size(); ++i) to[i] += numbers[i];
}

/// What is read of a node: y = weight x + bias, where the weight has a row for each result.
struct Linear {
  Constants constants;
  Matrix weight;                   // its numbers only where they are asked for
  std::optional<Window> window{};  // of a Conv
  float alpha = 1, beta = 1;       // of a Gemm
  bool by_rows = true;             // as the constant lies; else by columns
};

std::optional<Linear> read_conv(const ir::Graph& graph, const ir::Node& node) {
  const ConvView view = ConvView::of(graph, node);
  if (view.group != 1 || !view.window || view.window->auto_pad != Window::AutoPad::kNotSet) return std::nullopt;
  if (!may_be_combined(graph, view.weight, view.bias)) return std::nullopt;
  const auto shape = graph.constant_of(view.weight)->shape();
  int64_t taps = 1;
  for (const int64_t size : shape.subspan(2)) taps *= size;
  return Linear{{view.weight, view.bias}, {shape[0], shape[1], taps}, view.window};
}

std::optional<Linear> read_gemm(const ir::Graph& graph, const ir::Node& node) {
  const GemmView view = GemmView::of(graph, node);
  constexpr int64_t kStretchesC = 7;  // without an attribute that says so
  if (graph.opset("") < kStretchesC || view.trans_a || !may_be_combined(graph, view.b, view.c)) return std::nullopt;
  const auto shape = graph.constant_of(view.b)->shape();
  const int64_t columns = view.trans_b ? shape[0] : shape[1];
  if (view.c) {  // a number for each column
    const auto c = graph.constant_of(view.c)->shape();
    const bool fits = !c.empty() && c.back() == columns && (c.size() == 1 || (c.size() == 2 && c[0] == 1));
    if (!fits) return std::nullopt;
  }
  Linear result{{view.b, view.c}, {columns, view.trans_b ? shape[1] : shape[0]}};
  result.alpha = view.alpha;
  result.beta = view.beta;
  result.by_rows = view.trans_b;
  return result;
}

std::optional<Linear> read_matmul(const ir::Graph& graph, const ir::Node& node) {
  if (node.inputs.size() != 2 || graph.constant_of(node.inputs[0])) return std::nullopt;
  const Tensor* weight = graph.constant_of(node.inputs[1]);
  if (!weight || weight->shape().size() != 2 || !may_be_combined(graph, node.inputs[1], {})) return std::nullopt;
  Linear result{{node.inputs[1], {}}, {weight->shape()[1], weight->shape()[0]}};
  result.by_rows = false;
  return result;
}

std::optional<Linear> read_linear(const ir::Graph& graph, const ir::Node& node) {
  std::optional<Linear> result;
  if (node.is("Conv")) result = read_conv(graph, node);
  if (node.is("Gemm")) result = read_gemm(graph, node);
  if (node.is("MatMul")) result = read_matmul(graph, node);
  if (result && narrow_weight(graph, result->constants.weight)) return std::nullopt;  // it would not be stored so
  return result;
}

void read_numbers(const Context& context, Linear& linear) {
  linear.weight.numbers = context.scaled_weight(linear.constants.weight).numbers();
  if (!linear.by_rows) {
    std::swap(linear.weight.rows, linear.weight.columns);
    linear.weight = transposed(linear.weight);
  }
  for (double& number : linear.weight.numbers) number *= static_cast<double>(linear.alpha);
}

Numbers bias_of(const Context& context, const Linear& linear) {
  if (!linear.constants.bias) return {};
  Numbers numbers = context.exact_numbers(linear.constants.bias);
  for (double& number : numbers) number *= static_cast<double>(linear.beta);
  return numbers;
}

bool is_point(const Window& window) {
  const auto all = [](std::span<const int64_t> list, int64_t wanted) {
    return std::ranges::all_of(list, [&](int64_t value) { return value == wanted; });
  };
  return all(window.kernel, 1) && all(window.strides, 1) && all(window.pads_begin, 0) && all(window.pads_end, 0);
}

bool pads(const Window& window) {
  const auto any = [](std::span<const int64_t> list) {
    return std::ranges::any_of(list, [](int64_t value) { return value != 0; });
  };
  return any(window.pads_begin) || any(window.pads_end);
}

/// Sizes alone.
bool is_smaller(const Linear& first, const Linear& second) {
  const Matrix &a = first.weight, &b = second.weight;
  if (a.rows != b.columns || (a.taps > 1 && b.taps > 1)) return false;
  const auto size = checked_mul(b.rows, a.columns);
  const auto merged = size ? checked_mul(*size, std::max(a.taps, b.taps)) : std::nullopt;
  return merged && *merged < a.size() + b.size();
}

bool is_same_kind(const ir::Graph& graph, const Linear& first, const Linear& second) {
  const auto rank = [](const Linear& linear) { return linear.window ? linear.window->rank() : 0; };
  return rank(first) == rank(second) &&
         graph.type(first.constants.weight).dtype == graph.type(second.constants.weight).dtype;
}

/// Both as they are read, where that is worth it: see is_worth_merging.
std::optional<std::pair<Linear, Linear>> read_pair(const Context& context, ir::NodeId first, ir::NodeId second) {
  const ir::Graph& graph = context.graph;
  if (graph.node(first).op_type != graph.node(second).op_type || context.stays(first) || context.stays(second))
    return std::nullopt;
  const auto a = read_linear(graph, graph.node(first)), b = read_linear(graph, graph.node(second));
  if (!a || !b || !is_same_kind(graph, *a, *b) || !is_smaller(*a, *b)) return std::nullopt;
  return std::pair(*a, *b);
}

/// Nothing between the two counts but numbers: where the second pads, it does so with zeros behind the first one's
/// bias.
bool see_the_same(const Context& context, const Linear& first, const Linear& second) {
  if (!first.window) return true;
  if (is_point(*second.window)) return true;
  if (!is_point(*first.window)) return false;
  const Numbers bias = bias_of(context, first);
  return !pads(*second.window) || std::ranges::all_of(bias, [](double number) { return number == 0; });
}

/// One node in the place of both.
bool merge(Context& context, ir::NodeId first_node, ir::NodeId second_node) {
  ir::Graph& graph = context.graph;
  auto pair = read_pair(context, first_node, second_node);
  if (!pair || !see_the_same(context, pair->first, pair->second)) return false;
  const ir::Node before = graph.node(first_node), node = graph.node(second_node);
  auto& [first, second] = *pair;
  const auto work = checked_mul(second.weight.size(), first.weight.columns * first.weight.taps);
  if (!work || *work > context.budget.work) return false;
  context.budget.work -= *work;
  read_numbers(context, first);
  read_numbers(context, second);
  const Matrix weight = product_of(second.weight, first.weight);
  Combined combined{{}, weight.numbers, {}};
  if (first.constants.bias || second.constants.bias) {
    combined.bias = product_of(second.weight, bias_of(context, first));
    add(combined.bias, bias_of(context, second));
  }
  if (second.window) {
    const Window& window = is_point(*second.window) ? *first.window : *second.window;
    combined.shape = {weight.rows, weight.columns};
    combined.shape.insert(combined.shape.end(), window.kernel.begin(), window.kernel.end());
  } else {
    combined.shape = {weight.columns, weight.rows};
    combined.weight = transposed(weight).numbers;
  }
  const bool stays = weight_stays(graph, first.constants.weight) || weight_stays(graph, second.constants.weight);
  Constants old = second.constants;
  if (old.bias && graph.constant_of(old.bias)->size() != combined.bias.size()) old.bias = {};
  const auto made = store(context, combined, old, stays);
  if (!made) return false;
  ir::NodeSpec spec;
  if (node.is("Conv")) {
    const bool keeps_second = !is_point(*second.window);
    spec = ir::spec_like(keeps_second ? node : before);
    spec.name = node.name;
    set_attribute(spec, "kernel_shape", (keeps_second ? second : first).window->kernel);
  } else {
    spec = {.op_type = node.op_type, .name = node.name};
  }
  spec.inputs = {before.inputs[0], made->weight};
  if (made->bias) spec.inputs.push_back(made->bias);
  const ir::NodeId one = replace_node(graph, second_node, std::move(spec));
  release_originals(context, std::span(&one, 1));
  return true;
}

}  // namespace

bool is_worth_merging(const Context& context, ir::NodeId first, ir::NodeId second) {
  return read_pair(context, first, second).has_value();
}

/// Conv, Conv   =>   Conv, where one has a kernel of a single tap; so Gemm, Gemm and MatMul, MatMul by constants
///
/// where nobody else reads what is between, and one is cheaper than both.
int64_t merge_linear(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  for (const ir::NodeId id : graph.nodes()) {
    if (!graph.alive(id)) continue;
    const ir::NodeId maker = context.only_maker(graph.node(id).input(0));
    changes += maker && merge(context, maker, id);
  }
  return changes;
}

}  // namespace pli::passes
