#include "passes/equal_dims.h"
#include "passes/pass.h"
#include "passes/replace_node.h"
#include "runtime/core/checked.h"
#include "runtime/core/tensor.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <ranges>

namespace pli::passes {

namespace {

/// "bij,jk->bik": what the dimensions of two operands and of the result are called.
struct Equation {
  std::string left, right, result;
};

bool has_distinct_letters(const std::string& term) {
  return std::ranges::all_of(
      term, [&](char c) { return std::isalpha(static_cast<unsigned char>(c)) && std::ranges::count(term, c) == 1; });
}

std::optional<Equation> read_equation(std::string text) {
  std::erase(text, ' ');
  const size_t arrow = text.find("->");
  const std::string operands = text.substr(0, arrow);
  const size_t comma = operands.find(',');
  if (comma == std::string::npos) return std::nullopt;
  Equation equation{operands.substr(0, comma), operands.substr(comma + 1), {}};
  if (arrow != std::string::npos) {
    equation.result = text.substr(arrow + 2);
  } else {  // the letters that are there once, in alphabetical order
    for (const char c : equation.left + equation.right)
      if (std::ranges::count(equation.left + equation.right, c) == 1) equation.result += c;
    std::ranges::sort(equation.result);
  }
  for (const std::string* term : {&equation.left, &equation.right, &equation.result})
    if (!has_distinct_letters(*term)) return std::nullopt;
  return equation;
}

/// The letters of a product of matrices by what becomes of them.
struct Letters {
  std::string batch, left, sum, right;  // in both and the result, in one and the result, in both only

  static std::optional<Letters> of(const Equation& equation) {
    Letters letters;
    const auto has = [](const std::string& term, char c) { return term.find(c) != std::string::npos; };
    for (const char c : equation.left) {
      const bool kept = has(equation.result, c), shared = has(equation.right, c);
      if (!kept && !shared) return std::nullopt;  // a sum of one operand alone
      (kept && shared ? letters.batch : kept ? letters.left : letters.sum) += c;
    }
    for (const char c : equation.right)
      if (!has(equation.left, c)) {
        if (!has(equation.result, c)) return std::nullopt;
        letters.right += c;
      }
    const bool whole = equation.result.size() == letters.batch.size() + letters.left.size() + letters.right.size();
    return whole && !letters.sum.empty() ? std::optional(letters) : std::nullopt;
  }
};

/// Makes the nodes that stand for an Einsum, in front of it.
class Builder {
 public:
  Builder(Context& context, ir::NodeId einsum) : graph_(context.graph), einsum_(einsum) {
    dtype_ = graph_.type(graph_.node(einsum).inputs[0]).dtype;
  }

  ir::ValueId add(ir::NodeSpec spec) {
    const std::string& name = graph_.name(graph_.node(einsum_).outputs[0]);
    spec.outputs = {{graph_.unique_name(name + "_" + spec.op_type), ir::Type::tensor(dtype_), {}}};
    return graph_.node(graph_.add_node(std::move(spec), einsum_)).outputs[0];
  }

  /// The value with its dimensions in another order.
  ir::ValueId ordered(ir::ValueId value, const std::string& from, const std::string& to) {
    if (from == to) return value;
    std::vector<int64_t> permutation;
    for (const char c : to) permutation.push_back(static_cast<int64_t>(from.find(c)));
    return add({.op_type = "Transpose", .inputs = {value}, .attributes = {{"perm", std::move(permutation), {}}}});
  }

  ir::ValueId reshaped(ir::ValueId value, const std::vector<int64_t>& shape) {
    const ir::ValueId list = graph_.add_constant(int64_tensor(shape), graph_.name(value) + "_shape");
    return add({.op_type = "Reshape", .inputs = {value, list}});
  }

 private:
  ir::Graph& graph_;
  ir::NodeId einsum_;
  DataType dtype_ = DataType::kUndefined;
};

/// The size of each letter, where the operands are shown to agree about it. Nothing where a rank is another.
std::optional<std::map<char, ir::Dim>> sizes_of(const ir::Graph& graph, const Equation& equation,
                                                std::span<const ir::ValueId> operands) {
  std::map<char, ir::Dim> sizes;
  for (size_t i = 0; i < 2; ++i) {
    const std::string& term = i == 0 ? equation.left : equation.right;
    const ir::Type& type = graph.type(operands[i]);
    if (!type.dims || type.dims->size() != term.size()) return std::nullopt;
    for (size_t at = 0; at < term.size(); ++at) {
      const ir::Dim& dim = (*type.dims)[at];
      const auto [known, is_new] = sizes.emplace(term[at], dim);
      if (!is_new && !are_equal(known->second, dim)) return std::nullopt;
    }
  }
  return sizes;
}

std::optional<std::vector<int64_t>> known_sizes(const std::map<char, ir::Dim>& sizes, const std::string& letters) {
  std::vector<int64_t> list;
  for (const char c : letters) {
    if (!sizes.at(c).known()) return std::nullopt;
    list.push_back(sizes.at(c).value());
  }
  return list;
}

int64_t product(const std::vector<int64_t>& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}

bool make_matmul(Context& context, ir::NodeId id) {
  ir::Graph& graph = context.graph;
  const ir::Node node = graph.node(id);
  auto equation = node.inputs.size() == 2 ? read_equation(node.string_or("equation", "")) : std::nullopt;
  const auto dtype = [&](size_t i) { return graph.type(node.inputs[i]).dtype; };
  if (!equation || !is_float(dtype(0)) || dtype(1) != dtype(0)) return false;
  std::vector<ir::ValueId> operands = node.inputs;
  const auto sizes = sizes_of(graph, *equation, operands);
  auto letters = sizes ? Letters::of(*equation) : std::nullopt;
  if (!letters) return false;
  if (letters->batch.empty() && (graph.constant_of(operands[0]) || letters->right.size() > 1) &&
      !graph.constant_of(operands[1])) {  // what has dimensions of its own, which need not be known, stands left
    std::swap(operands[0], operands[1]);
    std::swap(equation->left, equation->right);
    letters = Letters::of(*equation);
  }
  const auto& [batch, left, sum, right] = *letters;
  const bool one_each = left.size() == 1 && sum.size() == 1 && right.size() == 1;
  if (!batch.empty() && !one_each) return false;
  const auto summed = known_sizes(*sizes, sum), columns = known_sizes(*sizes, right);
  const bool joins = sum.size() > 1 || right.size() > 1;
  if (joins && (!summed || !columns || product(*summed) == 0 || product(*columns) == 0)) return false;

  Builder builder(context, id);
  ir::ValueId a = builder.ordered(operands[0], equation->left, batch + left + sum);
  ir::ValueId b = builder.ordered(operands[1], equation->right, batch + sum + right);
  if (joins) {
    std::vector<int64_t> rows(left.size(), 0);  // as they are
    rows.push_back(product(*summed));
    if (sum.size() > 1) a = builder.reshaped(a, rows);
    b = builder.reshaped(
        b, right.empty() ? std::vector{product(*summed)} : std::vector{product(*summed), product(*columns)});
  }
  ir::ValueId y = builder.add({.op_type = "MatMul", .inputs = {a, b}});
  if (right.size() > 1) {
    std::vector<int64_t> shape(left.size(), 0);
    shape.insert(shape.end(), columns->begin(), columns->end());
    y = builder.reshaped(y, shape);
  }
  const ir::NodeId made = graph.producer(builder.ordered(y, batch + left + right, equation->result));
  ir::NodeSpec last = ir::spec_like(graph.node(made));
  graph.erase_node(made);  // the Einsum becomes that one
  last.name = node.name;
  (void)replace_node(graph, id, std::move(last));
  return true;
}

}  // namespace

/// Einsum of two operands that is a product of matrices   =>   MatMul, with Transposes and Reshapes where it takes them
///
/// of letters in both operands and the result, of which then one letter of each other kind is allowed; or without such
/// letters, where those that are joined to one have known sizes.
int64_t einsum_to_matmul(Context& context) {
  int64_t changes = 0;
  for (const ir::NodeId id : context.graph.nodes()) {
    const ir::Node& node = context.graph.node(id);
    if (!node.is("Einsum") || context.broken.contains(id) || !node.output(0) ||
        context.graph.is_pinned(node.outputs[0]))
      continue;
    if (std::ranges::any_of(node.inputs, [](ir::ValueId input) { return !input; })) continue;
    changes += make_matmul(context, id);
  }
  return changes;
}

}  // namespace pli::passes
