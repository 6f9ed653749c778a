#include "tests/passes/reference.h"

#include "passes/pipeline.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/evaluate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

namespace pli::test {

namespace {

size_t count_of(const Shape& shape) {
  return static_cast<size_t>(std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()));
}

/// Steps through all indices of a shape in row-major order.
bool next(std::vector<int64_t>& index, const Shape& shape) {
  for (size_t i = shape.size(); i-- > 0;) {
    if (++index[i] < shape[i]) return true;
    index[i] = 0;
  }
  return false;
}

size_t at(const Shape& shape, const std::vector<int64_t>& index) {
  int64_t offset = 0;
  for (size_t i = 0; i < shape.size(); ++i) offset = offset * shape[i] + index[i];
  return static_cast<size_t>(offset);
}

/// The element of a broadcast operand for an index of the result.
double broadcast_at(const Doubles& value, const std::vector<int64_t>& index, size_t start) {
  std::vector<int64_t> own(value.shape.size());
  for (size_t i = 0; i < own.size(); ++i) own[i] = value.shape[i] == 1 ? 0 : index[start + i];
  return value.data[at(value.shape, own)];
}

struct ConvGeometry {
  Shape strides, dilations, begin, end, output;
};

ConvGeometry conv_geometry(const ir::Node& node, const Shape& x, const Shape& w, bool transposed) {
  const size_t rank = x.size() - 2;
  ConvGeometry g{node.ints_or("strides", Shape(rank, 1)), node.ints_or("dilations", Shape(rank, 1)), Shape(rank),
                 Shape(rank), Shape(rank)};
  const Shape pads = node.ints_or("pads", Shape(2 * rank, 0));
  const Shape output_padding = node.ints_or("output_padding", Shape(rank, 0));
  const std::string auto_pad = node.string_or("auto_pad", "NOTSET");
  for (size_t i = 0; i < rank; ++i) {
    const int64_t reach = (w[i + 2] - 1) * g.dilations[i] + 1;
    g.begin[i] = pads[i];
    g.end[i] = pads[rank + i];
    if (auto_pad == "VALID") g.begin[i] = g.end[i] = 0;
    if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      const int64_t out = transposed ? x[i + 2] * g.strides[i] : (x[i + 2] + g.strides[i] - 1) / g.strides[i];
      const int64_t total = transposed ? g.strides[i] * (x[i + 2] - 1) + output_padding[i] + reach - out
                                       : std::max<int64_t>((out - 1) * g.strides[i] + reach - x[i + 2], 0);
      g.begin[i] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      g.end[i] = total - g.begin[i];
    }
    g.output[i] = transposed ? g.strides[i] * (x[i + 2] - 1) + output_padding[i] + reach - g.begin[i] - g.end[i]
                             : (x[i + 2] + g.begin[i] + g.end[i] - reach) / g.strides[i] + 1;
  }
  return g;
}

/// Scatters every product of an input element and a tap to where it belongs, for both directions.
Doubles convolve(const ir::Node& node, const Doubles& x, const Doubles& w, const Doubles* b, bool transposed) {
  const int64_t group = node.int_or("group", 1);
  const size_t rank = x.shape.size() - 2;
  const ConvGeometry g = conv_geometry(node, x.shape, w.shape, transposed);
  const int64_t filters = transposed ? w.shape[1] * group : w.shape[0];
  Doubles y{{x.shape[0], filters}, {}};
  y.shape.insert(y.shape.end(), g.output.begin(), g.output.end());
  y.data.assign(count_of(y.shape), 0);
  if (b) {
    std::vector<int64_t> index(y.shape.size(), 0);
    do y.data[at(y.shape, index)] = b->data[static_cast<size_t>(index[1])];
    while (next(index, y.shape));
  }

  std::vector<int64_t> wi(w.shape.size(), 0);
  do {
    std::vector<int64_t> yi(y.shape.size(), 0);
    // The walk is over the outputs of a Conv, over the inputs of a ConvTranspose.
    const Shape& walked = transposed ? x.shape : y.shape;
    std::vector<int64_t> index(walked.size(), 0);
    do {
      std::vector<int64_t> other(walked.size());
      bool inside = true;
      other[0] = index[0];
      for (size_t i = 0; i < rank; ++i) {
        other[i + 2] = index[i + 2] * g.strides[i] + wi[i + 2] * g.dilations[i] - g.begin[i];
        const int64_t size = transposed ? y.shape[i + 2] : x.shape[i + 2];
        inside = inside && other[i + 2] >= 0 && other[i + 2] < size;
      }
      if (!inside) continue;
      if (transposed) {
        if (index[1] != wi[0]) continue;
        other[1] = wi[0] / (x.shape[1] / group) * w.shape[1] + wi[1];
        y.data[at(y.shape, other)] += x.data[at(x.shape, index)] * w.data[at(w.shape, wi)];
      } else {
        if (index[1] != wi[0]) continue;
        other[1] = wi[0] / (filters / group) * w.shape[1] + wi[1];
        y.data[at(y.shape, index)] += x.data[at(x.shape, other)] * w.data[at(w.shape, wi)];
      }
    } while (next(index, walked));
  } while (next(wi, w.shape));
  return y;
}

Doubles binary(const ir::Node& node, const Doubles& a, const Doubles& b, int64_t opset,
               const std::function<double(double, double)>& f) {
  const size_t rank = std::max(a.shape.size(), b.shape.size());
  size_t start_a = rank - a.shape.size();
  size_t start_b = rank - b.shape.size();
  if (opset < 7 && node.attribute("axis")) start_b = static_cast<size_t>(node.int_or("axis", 0));
  Doubles y{Shape(rank, 1), {}};
  for (size_t i = 0; i < a.shape.size(); ++i) y.shape[start_a + i] = std::max(y.shape[start_a + i], a.shape[i]);
  for (size_t i = 0; i < b.shape.size(); ++i) y.shape[start_b + i] = std::max(y.shape[start_b + i], b.shape[i]);
  y.data.resize(count_of(y.shape));
  std::vector<int64_t> index(rank, 0);
  do y.data[at(y.shape, index)] = f(broadcast_at(a, index, start_a), broadcast_at(b, index, start_b));
  while (next(index, y.shape));
  return y;
}

Doubles matmul(const Doubles& a, const Doubles& b);

/// A vector is a row on the left and a column on the right, and has no dimension of the result.
Doubles matmul_of_vector(Doubles a, Doubles b) {
  const bool row = a.shape.size() == 1, column = b.shape.size() == 1;
  if (row) a.shape.insert(a.shape.begin(), 1);
  if (column) b.shape.push_back(1);
  Doubles y = matmul(a, b);
  if (column) y.shape.pop_back();
  if (row) y.shape.erase(y.shape.end() - (column ? 1 : 2));
  return y;
}

Doubles matmul(const Doubles& a, const Doubles& b) {
  if (a.shape.size() == 1 || b.shape.size() == 1) return matmul_of_vector(a, b);
  const size_t rank = std::max(a.shape.size(), b.shape.size());
  Shape batch(rank - 2, 1);
  for (const Doubles* m : {&a, &b})
    for (size_t i = 0; i + 2 < m->shape.size(); ++i) {
      int64_t& dim = batch[rank - m->shape.size() + i];
      dim = std::max(dim, m->shape[i]);
    }
  const int64_t inner = a.shape.back();
  Doubles y{batch, {}};
  y.shape.push_back(a.shape[a.shape.size() - 2]);
  y.shape.push_back(b.shape.back());
  y.data.assign(count_of(y.shape), 0);
  std::vector<int64_t> index(rank, 0);
  do
    for (int64_t k = 0; k < inner; ++k) {
      std::vector<int64_t> ia = index;
      std::vector<int64_t> ib = index;
      ia[rank - 1] = k;
      ib[rank - 2] = k;
      y.data[at(y.shape, index)] +=
          broadcast_at(a, ia, rank - a.shape.size()) * broadcast_at(b, ib, rank - b.shape.size());
    }
  while (next(index, y.shape));
  return y;
}

Doubles transpose(const ir::Node& node, const Doubles& x) {
  Shape perm(x.shape.size());
  std::iota(perm.rbegin(), perm.rend(), 0);
  perm = node.ints_or("perm", perm);
  Doubles y{Shape(perm.size()), std::vector<double>(x.data.size())};
  for (size_t i = 0; i < perm.size(); ++i) y.shape[i] = x.shape[static_cast<size_t>(perm[i])];
  std::vector<int64_t> index(perm.size(), 0);
  do {
    std::vector<int64_t> from(perm.size());
    for (size_t i = 0; i < perm.size(); ++i) from[static_cast<size_t>(perm[i])] = index[i];
    y.data[at(y.shape, index)] = x.data[at(x.shape, from)];
  } while (next(index, y.shape));
  return y;
}

Doubles gemm(const ir::Node& node, Doubles a, Doubles b, const Doubles* c) {
  const ir::Node plain;
  if (node.int_or("transA", 0)) a = transpose(plain, a);
  if (node.int_or("transB", 0)) b = transpose(plain, b);
  Doubles y = matmul(a, b);
  const double alpha = static_cast<double>(node.float_or("alpha", 1));
  const double beta = static_cast<double>(node.float_or("beta", 1));
  std::vector<int64_t> index(2, 0);
  do {
    double& value = y.data[at(y.shape, index)];
    value *= alpha;
    if (c) value += beta * broadcast_at(*c, index, 2 - c->shape.size());
  } while (next(index, y.shape));
  return y;
}

Doubles batch_normalization(const ir::Node& node, const std::vector<const Doubles*>& in) {
  Doubles y = *in[0];
  const double epsilon = static_cast<double>(node.float_or("epsilon", 1e-5f));
  std::vector<int64_t> index(y.shape.size(), 0);
  do {
    const auto c = static_cast<size_t>(index.size() > 1 ? index[1] : 0);
    double& value = y.data[at(y.shape, index)];
    value = in[1]->data[c] * (value - in[3]->data[c]) / std::sqrt(in[4]->data[c] + epsilon) + in[2]->data[c];
  } while (next(index, y.shape));
  return y;
}

/// Over the dimensions from `axis` on, which are those that the scale has.
Doubles rms_normalization(const ir::Node& node, const Doubles& x, const Doubles& scale) {
  const double epsilon = static_cast<double>(node.float_or("epsilon", 1e-5f));
  Doubles y = x;
  const size_t count = scale.data.size();
  for (size_t start = 0; start < y.data.size(); start += count) {
    double squares = 0;
    for (size_t i = start; i < start + count; ++i) squares += x.data[i] * x.data[i];
    const double root = std::sqrt(squares / static_cast<double>(count) + epsilon);
    for (size_t i = start; i < start + count; ++i) y.data[i] = x.data[i] / root * scale.data[i - start];
  }
  return y;
}

Doubles to_reference(const Tensor& tensor) {
  Doubles result{Shape(tensor.shape().begin(), tensor.shape().end()), {}};
  if (is_integer(tensor.dtype())) {
    const std::vector<int64_t> integers = to_int64s(tensor);
    result.data.assign(integers.begin(), integers.end());
  } else {
    result.data = to_doubles(tensor);
  }
  return result;
}

/// Scale and zero point by tensor or along an axis; of integers of 8 bits with a sign.
Doubles quantize(const ir::Node& node, const std::vector<const Doubles*>& in) {
  Doubles y = *in[0];
  const bool back = node.is("DequantizeLinear");
  int64_t axis = node.int_or("axis", 1);
  if (axis < 0) axis += static_cast<int64_t>(y.shape.size());
  std::vector<int64_t> index(y.shape.size(), 0);
  if (y.data.empty()) return y;
  do {
    double& value = y.data[at(y.shape, index)];
    const size_t c = in[1]->data.size() == 1 ? 0 : static_cast<size_t>(index[static_cast<size_t>(axis)]);
    const double scale = in[1]->data[c], zero = in.size() > 2 && in[2] ? in[2]->data[c] : 0;
    value = back ? (value - zero) * scale : std::clamp(std::nearbyint(value / scale) + zero, -128.0, 127.0);
  } while (next(index, y.shape));
  return y;
}

Doubles run_node(const ir::Node& node, const std::vector<const Doubles*>& in, int64_t opset) {
  const auto optional = [&](size_t i) { return i < in.size() ? in[i] : nullptr; };
  if (node.is("Conv") || node.is("ConvTranspose"))
    return convolve(node, *in[0], *in[1], optional(2), node.is("ConvTranspose"));
  if (node.is("Gemm")) return gemm(node, *in[0], *in[1], optional(2));
  if (node.is("MatMul")) return matmul(*in[0], *in[1]);
  if (node.is("BatchNormalization")) return batch_normalization(node, in);
  if (node.is("Add")) return binary(node, *in[0], *in[1], opset, std::plus<>());
  if (node.is("Sub")) return binary(node, *in[0], *in[1], opset, std::minus<>());
  if (node.is("Mul")) return binary(node, *in[0], *in[1], opset, std::multiplies<>());
  if (node.is("Div")) return binary(node, *in[0], *in[1], opset, std::divides<>());
  if (node.is("Identity") || node.is("Dropout") || node.is("Cast") || node.is("CastLike")) return *in[0];
  if (node.is("Transpose")) return transpose(node, *in[0]);
  if (node.is("QuantizeLinear") || node.is("DequantizeLinear")) return quantize(node, in);
  if (node.is("Constant")) return to_reference(std::get<Tensor>(node.attribute("value")->value));
  if (node.is("Relu")) {
    Doubles y = *in[0];
    for (double& value : y.data) value = std::max(value, 0.0);
    return y;
  }
  if (node.is("RMSNormalization")) return rms_normalization(node, *in[0], *in[1]);
  throw std::runtime_error("the reference does not know " + node.op_type);
}

bool knows(const ir::Node& node) {
  // clang-format off
  constexpr std::array kOwn{"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "Add", "Sub", "Mul", "Div",
                            "Identity", "Dropout", "Cast", "CastLike", "Transpose", "Constant", "Relu",
                            "QuantizeLinear", "DequantizeLinear", "RMSNormalization"};
  // clang-format on
  return std::ranges::any_of(kOwn, [&](const char* type) { return node.is(type); });
}

/// What a fold only moves through is run by Pli's kernels, in float64.
std::vector<Doubles> run_in_double(const ir::Graph& graph, const ir::Node& node,
                                   const std::vector<const Doubles*>& in) {
  std::vector<Tensor> tensors(in.size());
  std::vector<const Tensor*> inputs;
  for (size_t i = 0; i < in.size(); ++i) {
    const Tensor* constant = graph.constant_of(node.inputs[i]);
    const bool as_it_is = constant && (!is_float(constant->dtype()) || node.is("Resize"));
    if (in[i] && !as_it_is) tensors[i] = from_doubles(DataType::kFloat64, in[i]->shape, in[i]->data);
    inputs.push_back(as_it_is ? constant : in[i] ? &tensors[i] : nullptr);
  }
  std::vector<Doubles> outputs;
  for (const Tensor& tensor : ops::evaluate(graph, node, inputs, Limits{})) outputs.push_back(to_reference(tensor));
  return outputs;
}

/// The node with what the call around it gives where it refers to that.
ir::Node resolved(ir::Node node, const std::vector<ir::Attribute>& given) {
  std::vector<ir::Attribute> attributes;
  for (ir::Attribute& attribute : node.attributes) {
    const auto* reference = std::get_if<ir::Reference>(&attribute.value);
    const auto found = std::ranges::find(given, reference ? reference->attribute : "", &ir::Attribute::name);
    if (reference && found == given.end()) continue;
    if (reference) attribute.value = found->value;
    attributes.push_back(std::move(attribute));
  }
  node.attributes = std::move(attributes);
  return node;
}

std::map<std::string, Doubles> run_graph(const ir::Graph& graph, const std::map<std::string, Doubles>& inputs,
                                         const std::vector<ir::Attribute>& given);

std::vector<Doubles> run_call(const ir::Node& call, const std::vector<const Doubles*>& in) {
  const ir::Function& function = *call.function;
  std::vector<ir::Attribute> given = call.attributes;
  given.insert(given.end(), function.defaults.begin(), function.defaults.end());
  std::map<std::string, Doubles> inputs;
  for (size_t i = 0; i < in.size(); ++i)
    if (in[i]) inputs[function.body.name(function.body.inputs()[i])] = *in[i];
  const auto results = run_graph(function.body, inputs, given);
  std::vector<Doubles> outputs;
  for (const ir::Output& output : function.body.outputs()) outputs.push_back(results.at(output.name));
  return outputs;
}

/// The branch that the condition takes.
std::vector<Doubles> run_if(const ir::Node& node, const std::map<ir::ValueId, Doubles>& values,
                            const std::vector<ir::Attribute>& given) {
  const char* branch = values.at(node.inputs[0]).data[0] != 0 ? "then_branch" : "else_branch";
  const auto& [body, captures] = std::get<ir::Subgraph>(node.attribute(branch)->value);
  std::map<std::string, Doubles> captured;
  for (size_t i = 0; i < captures.size(); ++i) captured[body->name(body->captures()[i])] = values.at(captures[i]);
  const auto results = run_graph(*body, captured, given);
  std::vector<Doubles> outputs;
  for (const ir::Output& output : body->outputs()) outputs.push_back(results.at(output.name));
  return outputs;
}

std::map<std::string, Doubles> run_graph(const ir::Graph& graph, const std::map<std::string, Doubles>& inputs,
                                         const std::vector<ir::Attribute>& given) {
  std::map<ir::ValueId, Doubles> values;
  for (const ir::ValueId id : graph.captures()) values[id] = inputs.at(graph.name(id));
  for (const ir::ValueId id : graph.inputs()) {
    const auto input = inputs.find(graph.name(id));
    if (input != inputs.end())
      values[id] = input->second;
    else if (graph.value(id).payload)
      values[id] = to_reference(*graph.value(id).payload);
  }
  for (const ir::ValueId id : graph.initializers()) {
    const Tensor& tensor = *graph.value(id).payload;
    if (is_float(tensor.dtype()) || is_integer(tensor.dtype()))
      values[id] = to_reference(tensor);
    else
      values[id] = {};  // only kernels read it, as it is
  }
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node node = resolved(graph.node(id), given);
    std::vector<const Doubles*> in;
    for (const ir::ValueId input : node.inputs) {
      const auto value = values.find(input);
      in.push_back(value == values.end() ? nullptr : &value->second);  // an input that is left out, or is none
    }
    if (knows(node)) {
      values[node.outputs[0]] = run_node(node, in, graph.opset(""));
      continue;
    }
    std::vector<Doubles> outputs = node.function   ? run_call(node, in)
                                   : node.is("If") ? run_if(node, values, given)
                                                   : run_in_double(graph, node, in);
    for (size_t i = 0; i < outputs.size(); ++i) values[node.outputs[i]] = std::move(outputs[i]);
  }
  std::map<std::string, Doubles> outputs;
  for (const ir::Output& output : graph.outputs()) outputs[output.name] = values.at(output.value);
  return outputs;
}

}  // namespace

std::map<std::string, Doubles> run_reference(const ir::Graph& graph, const std::map<std::string, Doubles>& inputs) {
  return run_graph(graph, inputs, {});
}

Doubles random_doubles(Shape shape, uint32_t seed, double low, double high) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<double> distribution(low, high);
  Doubles result{std::move(shape), {}};
  result.data.resize(count_of(result.shape));
  for (double& value : result.data) value = distribution(generator);
  return result;
}

// --- building ------------------------------------------------------------------------------------

Net::Net(int64_t opset, int64_t ir_version) {
  model_.ir_version = ir_version;
  model_.opsets = std::make_shared<ir::OpsetImports>(ir::OpsetImports{{"", opset}});
  model_.graph = ir::Graph(model_.opsets);
}

Tensor Net::random(Shape shape, double low, double high, DataType dtype) {
  const Doubles values = random_doubles(shape, seed_++, low, high);
  return from_doubles(dtype, std::move(shape), values.data);
}

ir::ValueId Net::input(std::string name, const Shape& dims, DataType dtype) {
  ir::Dims wanted;
  for (const int64_t dim : dims) wanted.push_back(dim < 0 ? ir::Dim(std::string("batch")) : ir::Dim(dim));
  return graph().add_input(std::move(name), ir::Type::tensor(dtype, std::move(wanted)));
}

ir::ValueId Net::weight(std::string name, Shape shape, double low, double high, DataType dtype) {
  return constant(std::move(name), random(std::move(shape), low, high, dtype));
}

ir::ValueId Net::constant(std::string name, Tensor tensor) {
  return graph().add_initializer(std::move(name), std::move(tensor));
}

ir::ValueId Net::constant_node(std::string name, Tensor tensor) {
  return node("Constant", {}, {{"value", std::move(tensor), {}}}, std::move(name));
}

ir::ValueId Net::default_input(std::string name, Tensor tensor) {
  const ir::ValueId id = graph().add_input(std::move(name), ir::Type::of(tensor));
  graph().set_default(id, std::move(tensor), {}, model_.ir_version < 4);
  return id;
}

ir::ValueId Net::node(const std::string& op_type, std::vector<ir::ValueId> inputs,
                      std::vector<ir::Attribute> attributes, std::string output, size_t outputs) {
  if (output.empty()) output = "v" + std::to_string(++count_);
  ir::NodeSpec spec{
      .op_type = op_type, .name = "n_" + output, .inputs = std::move(inputs), .attributes = std::move(attributes)};
  for (size_t i = 0; i < outputs; ++i)
    spec.outputs.push_back({output + (i == 0 ? "" : "_" + std::to_string(i)), {}, {}});
  return graph().node(graph().add_node(std::move(spec))).outputs[0];
}

ir::ValueId Net::batch_norm(ir::ValueId x, int64_t channels, std::string output, std::vector<ir::Attribute> attributes,
                            DataType dtype) {
  const ir::ValueId scale = weight(output + ".scale", {channels}, -2, 2, dtype);
  const ir::ValueId bias = weight(output + ".bias", {channels}, -3, 3, dtype);
  const ir::ValueId mean = weight(output + ".mean", {channels}, -2, 2, dtype);
  const ir::ValueId variance = weight(output + ".var", {channels}, 0.001, 3, dtype);
  if (graph().opset("") < 7) attributes.push_back(attribute("is_test", 1));
  return node("BatchNormalization", {x, scale, bias, mean, variance}, std::move(attributes), std::move(output));
}

void Net::output(ir::ValueId value, std::string name) {
  if (name.empty()) name = graph().name(value);
  graph().add_output({std::move(name), value, graph().type(value), {}});
}

// --- checking ------------------------------------------------------------------------------------

int64_t Optimized::count(std::string_view op_type) const {
  int64_t found = 0;
  for (const ir::NodeId id : model.graph.nodes()) found += model.graph.node(id).is(op_type);
  return found;
}

const Fold& Optimized::fold(const std::string& output) const {
  static const Fold none;
  for (const auto* list : {&report.batch_norms, &report.affines})
    for (const Fold& fold : *list)
      if (fold.output == output) return fold;
  ADD_FAILURE() << "the report says nothing about " << output;
  return none;
}

Tensor Optimized::constant(const std::string& name) const {
  const Tensor* tensor = model.graph.constant_of(model.graph.find(name));
  if (!tensor) ADD_FAILURE() << "there is no constant " << name << " in\n" << ir::dump(model.graph);
  return tensor ? *tensor : Tensor();
}

namespace {

std::string signature(const ir::Graph& graph) {
  std::string text;
  for (const ir::ValueId id : graph.inputs())
    if (!graph.value(id).payload) text += graph.name(id) + ": " + to_string(graph.type(id)) + "\n";
  for (const ir::Output& output : graph.outputs()) text += output.name + " = " + to_string(output.type) + "\n";
  return text;
}

/// The graph's text with the payload of every initializer.
std::string whole_text(const ir::Graph& graph) {
  std::string text = ir::dump(graph);
  for (const ir::ValueId id : graph.initializers()) {
    const auto bytes = graph.value(id).payload->bytes();
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return text;
}

}  // namespace

Optimized optimize(const ir::Model& model, const OptimizeOptions& options) {
  Optimized result{model, {}};
  result.report = passes::run(result.model, options);
  result.model.graph.verify();
  EXPECT_EQ(signature(model.graph), signature(result.model.graph));

  Optimized again{result.model, {}};
  again.report = passes::run(again.model, options);
  EXPECT_EQ(ir::dump(result.model.graph), ir::dump(again.model.graph));
  EXPECT_TRUE(whole_text(result.model.graph) == whole_text(again.model.graph));
  for (const PassRun& pass : again.report.passes) EXPECT_EQ(pass.changes, 0) << pass.name;

  ir::Model copy = model;
  (void)passes::run(copy, options);
  EXPECT_TRUE(whole_text(result.model.graph) == whole_text(copy.graph));
  return result;
}

void expect_equal_results(const ir::Model& original, const ir::Model& folded, double tolerance, double least) {
  std::map<std::string, Doubles> inputs;
  uint32_t seed = 1000;
  for (const ir::ValueId id : original.graph.inputs()) {
    if (original.graph.value(id).payload) continue;
    Shape shape;
    for (const ir::Dim& dim : *original.graph.type(id).dims) shape.push_back(dim.known() ? dim.value() : 2);
    inputs[original.graph.name(id)] = random_doubles(std::move(shape), seed++, -2, 2);
  }
  const auto wanted = run_reference(original.graph, inputs);
  const auto found = run_reference(folded.graph, inputs);
  ASSERT_EQ(wanted.size(), found.size());
  for (const auto& [name, expected] : wanted) {
    const Doubles& actual = found.at(name);
    ASSERT_EQ(expected.shape, actual.shape) << name;
    double largest = least;
    double difference = 0;
    for (size_t i = 0; i < expected.data.size(); ++i) {
      largest = std::max(largest, std::fabs(expected.data[i]));
      difference = std::max(difference, std::fabs(expected.data[i] - actual.data[i]));
      ASSERT_TRUE(std::isfinite(actual.data[i])) << name;
    }
    ASSERT_GT(largest, 0) << name;
    EXPECT_LE(difference, tolerance * largest) << name << "\n" << ir::dump(folded.graph);
  }
}

Optimized expect_folded(const Net& net, size_t batch_norms, double tolerance) {
  Optimized result = optimize(net.model());
  EXPECT_EQ(result.report.batch_norms.size(), batch_norms);
  for (const Fold& fold : result.report.batch_norms)
    EXPECT_TRUE(fold.folded) << fold.output << ": " << fold.code << ", " << fold.reason;
  EXPECT_EQ(result.count("BatchNormalization"), 0) << ir::dump(result.model.graph);
  expect_equal_results(net.model(), result.model, tolerance);
  return result;
}

Optimized expect_kept(const Net& net, const std::string& output, std::string_view code, std::string_view words,
                      const OptimizeOptions& options) {
  Optimized result = optimize(net.model(), options);
  const Fold& fold = result.fold(output);
  EXPECT_FALSE(fold.folded);
  EXPECT_EQ(fold.code, code);
  EXPECT_NE(fold.reason.find(words), std::string::npos) << fold.reason;
  EXPECT_NE(result.model.graph.find(output).index, -1) << output;
  return result;
}

}  // namespace pli::test
