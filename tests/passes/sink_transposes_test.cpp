#include "runtime/core/checked.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/evaluate.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace pli::test {
namespace {

using ir::ValueId;

constexpr DataType kType = DataType::kFloat64;
const std::vector<int64_t> kToLast{0, 2, 3, 1}, kToFirst{0, 3, 1, 2};

// --- comparing -------------------------------------------------------------------------------------------------------

using Tensors = std::map<std::string, Tensor>;

/// Runs every node by itself, in the types that the model has.
Tensors run_nodes(const ir::Graph& graph, const Tensors& inputs) {
  std::map<ValueId, Tensor> values;
  for (const ValueId id : graph.inputs()) values[id] = inputs.at(graph.name(id));
  for (const ValueId id : graph.initializers()) values[id] = *graph.value(id).payload;
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node& node = graph.node(id);
    std::vector<const Tensor*> operands;
    for (const ValueId input : node.inputs) operands.push_back(input ? &values.at(input) : nullptr);
    const std::vector<Tensor> results = ops::evaluate(graph, node, operands, Limits{});
    for (size_t i = 0; i < results.size(); ++i)
      if (node.outputs[i]) values[node.outputs[i]] = results[i];
  }
  Tensors outputs;
  for (const ir::Output& output : graph.outputs()) outputs[output.name] = values.at(output.value);
  return outputs;
}

std::vector<double> numbers_of(const Tensor& tensor) {
  if (is_float(tensor.dtype())) return to_doubles(tensor);
  const std::vector<int64_t> values = to_int64s(tensor);
  return {values.begin(), values.end()};
}

/// The same results but for the order in which sums are made. Unknown dimensions become 2.
void expect_same(const ir::Model& original, const ir::Model& changed) {
  Tensors inputs;
  uint32_t seed = 77;
  for (const ValueId id : original.graph.inputs()) {
    Shape shape;
    for (const ir::Dim& dim : *original.graph.type(id).dims) shape.push_back(dim.known() ? dim.value() : 2);
    const Doubles values = random_doubles(shape, seed++, -2, 2);
    inputs[original.graph.name(id)] = from_doubles(original.graph.type(id).dtype, shape, values.data);
  }
  const Tensors wanted = run_nodes(original.graph, inputs), found = run_nodes(changed.graph, inputs);
  ASSERT_EQ(wanted.size(), found.size());
  for (const auto& [name, expected] : wanted) {
    const Tensor& actual = found.at(name);
    ASSERT_EQ(expected.dtype(), actual.dtype()) << name;
    ASSERT_TRUE(std::ranges::equal(expected.shape(), actual.shape())) << name << ir::dump(changed.graph);
    const std::vector<double> a = numbers_of(expected), b = numbers_of(actual);
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-12 * (1 + std::fabs(a[i]))) << name << " " << i;
  }
}

/// What becomes of a net: how many Transposes are left, and what it computes is the same.
struct SinkCase {
  const char* name;
  std::function<void(Net&)> build;
  int64_t left = 0;
  int64_t opset = 17;
};

std::ostream& operator<<(std::ostream& out, const SinkCase& c) { return out << c.name; }
std::string case_name(const testing::TestParamInfo<SinkCase>& info) { return info.param.name; }

class SinkTransposes : public testing::TestWithParam<SinkCase> {};

Optimized expect_left(const Net& net, int64_t left) {
  Optimized result = optimize(net.model());
  EXPECT_TRUE(result.report.broken_nodes.empty()) << result.report.broken_nodes.front().reason;
  EXPECT_EQ(result.count("Transpose"), left) << ir::dump(result.model.graph);
  expect_same(net.model(), result.model);
  return result;
}

TEST_P(SinkTransposes, ComputesTheSame) {
  Net net(GetParam().opset);
  GetParam().build(net);
  expect_left(net, GetParam().left);
}

// --- pieces ----------------------------------------------------------------------------------------------------------

ValueId transposed(Net& net, ValueId x, std::vector<int64_t> perm) {
  return net.node("Transpose", {x}, {ints("perm", std::move(perm))});
}

/// [2, 5, 7, 3] of an image [2, 3, 5, 7].
ValueId last(Net& net, const std::string& name = "x") {
  return transposed(net, net.input(name, {2, 3, 5, 7}, kType), kToLast);
}

void give_first(Net& net, ValueId x, const std::string& name = "y") { net.output(transposed(net, x, kToFirst), name); }

ValueId integers(Net& net, std::vector<int64_t> values) {
  static int count = 0;
  return net.constant("i" + std::to_string(++count), int64_tensor(values));
}

ValueId numbers(Net& net, Shape shape, double low = 0.5, double high = 1.5) {
  static int count = 0;
  return net.weight("k" + std::to_string(++count), std::move(shape), low, high, kType);
}

ValueId floats(Net& net, std::vector<float> values) {
  static int count = 0;
  return net.constant("f" + std::to_string(++count),
                      Tensor::copy<float>({static_cast<int64_t>(values.size())}, values));
}

ValueId conv(Net& net, ValueId x, int64_t channels, int64_t filters) {
  return net.node("Conv", {x, numbers(net, {filters, channels, 1, 1}, -1, 1)});
}

using Build = std::function<void(Net&)>;

/// A node between the two Transposes, beside whose data stand these lists.
Build between(const char* op_type, std::vector<ir::Attribute> attributes = {},
              std::vector<std::vector<int64_t>> operands = {}) {
  return [=](Net& net) {
    std::vector<ValueId> inputs{last(net)};
    for (const auto& operand : operands) inputs.push_back(integers(net, operand));
    give_first(net, net.node(op_type, inputs, attributes));
  };
}

/// The same with a constant of this shape on the right, or on the left.
Build beside(const char* op_type, Shape shape, bool on_the_left = false) {
  return [=](Net& net) {
    const ValueId x = last(net), k = numbers(net, shape);
    give_first(net, net.node(op_type, on_the_left ? std::vector{k, x} : std::vector{x, k}));
  };
}

/// What is made of the image with channels last is an output as it is.
Build behind(const std::function<ValueId(Net&, ValueId)>& rest) {
  return [=](Net& net) { net.output(rest(net, last(net)), "y"); };
}

// --- element by element ----------------------------------------------------------------------------------------------

const std::vector<SinkCase> kElementwise{
    {"Relu", between("Relu")},
    {"Sigmoid", between("Sigmoid")},
    {"LeakyRelu", between("LeakyRelu", {attribute("alpha", 0.3f)})},
    {"ClipByAttributes", between("Clip", {attribute("min", 0.0f), attribute("max", 0.5f)}), 0, 6},
    {"ClipByInputs",
     [](Net& net) {
       give_first(net, net.node("Clip", {last(net), numbers(net, {}, -1, -0.5), numbers(net, {}, 0.5, 1)}));
     }},
    {"ClipWithoutTheLowerBound",
     [](Net& net) {
       give_first(net, net.node("Clip", {last(net), {}, numbers(net, {}, 0.5, 1)}));
     }},
    {"Cast",
     [](Net& net) {
       const ValueId narrow = net.node("Cast", {last(net)}, {attribute("to", 6)});
       give_first(net, narrow);
     }},
    {"CastLike",
     [](Net& net) {
       give_first(net, net.node("CastLike", {last(net), integers(net, {1, 2})}));
     }},
    {"Where",
     [](Net& net) {
       const ValueId x = last(net);
       const ValueId above = net.node("Greater", {x, numbers(net, {3}, -1, 1)});
       give_first(net, net.node("Where", {above, x, numbers(net, {7, 1})}));
     }},
    {"NotAndEqual",
     [](Net& net) {
       const ValueId x = last(net);
       const ValueId same = net.node("Equal", {net.node("Round", {x}), net.node("Floor", {x})});
       give_first(net, net.node("Not", {same}));
     }},
    {"AddOfAVector", beside("Add", {3})},
    {"AddOfAScalar", beside("Add", {})},
    {"AddOfOneElement", beside("Add", {1})},
    {"SubFromRows", beside("Sub", {7, 1}, true)},
    {"MulByAllAxes", beside("Mul", {2, 5, 7, 3})},
    {"DivByColumnsOfChannels", beside("Div", {5, 1, 3})},
    {"DivOfAVector", beside("Div", {3}, true)},
    {"Mod",
     [](Net& net) {
       give_first(net, net.node("Mod", {last(net), numbers(net, {1, 1, 3})}, {attribute("fmod", 1)}));
     }},
    {"Pow",
     [](Net& net) {
       give_first(net, net.node("Pow", {numbers(net, {3}), last(net)}));
     }},
    {"PReluByChannels", beside("PRelu", {3})},
    {"MaxOfThree",
     [](Net& net) {
       const ValueId x = last(net);
       give_first(net, net.node("Max", {x, numbers(net, {3}), last(net, "z")}));
     }},
    {"SumOfTwoImages",
     [](Net& net) {
       give_first(net, net.node("Sum", {last(net), last(net, "z")}));
     }},
    {"AddOfAnImageOfChannels",
     [](Net& net) {  // [2, 1, 1, 3] of a mean over the image
       const ValueId x = last(net);
       give_first(net, net.node("Mul", {x, net.node("ReduceMean", {x}, {ints("axes", {1, 2})})}));
     }},
    {"MulByAVectorThatIsComputed",  // a dimension would have to be added to [3]
     [](Net& net) {
       const ValueId x = last(net);
       const ValueId mean = net.node("ReduceMean", {x}, {ints("axes", {0, 1, 2}), attribute("keepdims", 0)});
       give_first(net, net.node("Mul", {x, mean}));
     },
     2},
    {"MulByLessThatIsComputed",
     [](Net& net) {  // [5, 7, 3], whose axes go with the last three
       const ValueId x = last(net);
       const ValueId mean = net.node("ReduceMean", {x}, {ints("axes", {0}), attribute("keepdims", 0)});
       give_first(net, net.node("Mul", {x, mean}));
     }},
    {"OneElementThatIsComputed",  // as it is, though it could be turned as well
     [](Net& net) {
       const ValueId x = last(net);
       give_first(net, net.node("Div", {x, net.node("ReduceMax", {x})}));
     }},
    {"AddOfVersion6",
     [](Net& net) {
       give_first(net, net.node("Add", {last(net), last(net, "z")}));
     },
     0, 6},
    {"AddThatBroadcastsInVersion6",
     [](Net& net) {
       give_first(net, net.node("Add", {last(net), numbers(net, {3})}, {attribute("broadcast", 1)}));
     },
     2, 6},
    {"DropoutThatPasses",
     [](Net& net) {
       const ValueId x = net.node("Dropout", {last(net)}, {}, "d", 2);
       give_first(net, x);
       net.output(transposed(net, net.graph().find("d_1"), kToFirst), "mask");
     }},
};

// --- quantized -------------------------------------------------------------------------------------------------------

/// A constant of bytes, between 100 and 150.
ValueId bytes(Net& net, Shape shape) {
  static int count = 0;
  std::vector<uint8_t> values(static_cast<size_t>(*checked_size(shape)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint8_t>(100 + 37 * i % 51);
  return net.constant("b" + std::to_string(++count), Tensor::copy<uint8_t>(std::move(shape), values));
}

/// To bytes and back, by scales of this shape.
Build quantized(Shape scales, std::vector<ir::Attribute> attributes = {}, bool zero_point = true) {
  return [=](Net& net) {
    const ValueId image = transposed(net, net.input("x", {2, 3, 5, 7}, DataType::kFloat32), kToLast);
    const ValueId scale = net.weight("scale", scales, 0.01, 0.02, DataType::kFloat32);
    std::vector<ValueId> inputs{image, scale};
    if (zero_point) inputs.push_back(bytes(net, scales));
    inputs[0] = net.node("QuantizeLinear", inputs, attributes);
    give_first(net, inputs[0], "stored");
    give_first(net, net.node("DequantizeLinear", inputs, attributes));
  };
}

const std::vector<SinkCase> kQuantized{
    {"ByANumber", quantized({})},
    {"ByANumberInVersion10", quantized({}), 0, 10},
    {"ByOneElement", quantized({1}, {attribute("axis", 3)})},
    {"WithoutAZeroPoint", quantized({}, {}, false)},
    {"ByChannels", quantized({3}, {attribute("axis", -1)})},
    {"ByColumns", quantized({7}, {attribute("axis", 2)})},
    {"ByRowsAsNoAxisIsGiven", quantized({5})},
    {"ByBlocksOfColumns", quantized({2, 5, 1, 3}, {attribute("axis", 2), attribute("block_size", 7)}), 0, 21},
};

// --- along axes ------------------------------------------------------------------------------------------------------

const std::vector<SinkCase> kAxes{
    {"Softmax", between("Softmax")},
    {"SoftmaxOfRows", between("Softmax", {attribute("axis", -3)})},
    {"LogSoftmax", between("LogSoftmax", {attribute("axis", 2)})},
    {"Hardmax", between("Hardmax", {attribute("axis", 3)})},
    {"SoftmaxOfAllInVersion11", between("Softmax", {attribute("axis", 1)}), 0, 11},
    {"SoftmaxOfChannelsInVersion11", between("Softmax", {attribute("axis", 3)}), 2, 11},
    {"HardmaxOfAllInVersion11", between("Hardmax", {attribute("axis", 1)}), 2, 11},  // the first of equal ones
    {"LpNormalization", between("LpNormalization", {attribute("axis", -1), attribute("p", 1)})},
    {"LayerNormalizationOfChannels",
     [](Net& net) {
       give_first(net, net.node("LayerNormalization", {last(net), numbers(net, {3})}));
     },
     2},
    {"LayerNormalizationOfWhatStaysLast",
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {2, 3, 5, 7}, kType), {1, 0, 2, 3});
       const ValueId y = net.node("LayerNormalization", {x, numbers(net, {5, 7})}, {attribute("axis", -2)});
       net.output(transposed(net, y, {1, 0, 2, 3}), "y");
     }},
    {"LayerNormalizationWithAScaleOfMore",
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {2, 3, 5, 7}, kType), {1, 0, 2, 3});
       const ValueId y = net.node("LayerNormalization", {x, numbers(net, {2, 1, 7})});
       net.output(transposed(net, y, {1, 0, 2, 3}), "y");
     },
     2},
    {"ConcatOfChannels",
     [](Net& net) {
       const ValueId x = last(net);
       give_first(net,
                  net.node("Concat", {x, net.node("Relu", {x}), numbers(net, {2, 5, 7, 4})}, {attribute("axis", -1)}));
     }},
    {"ConcatOfRows",
     [](Net& net) {
       give_first(net, net.node("Concat", {last(net), last(net, "z")}, {attribute("axis", 1)}));
     }},
    {"Split",
     [](Net& net) {
       const ValueId first = net.node("Split", {last(net), integers(net, {1, 2})}, {attribute("axis", -1)}, "part", 2);
       give_first(net, first, "y1");
       give_first(net, net.graph().find("part_1"), "y2");
     }},
    {"SplitByAnAttribute",
     [](Net& net) {
       const ValueId first = net.node("Split", {last(net)}, {attribute("axis", 2), ints("split", {3, 4})}, "part", 2);
       give_first(net, first, "y1");
       give_first(net, net.graph().find("part_1"), "y2");
     },
     0, 11},
    {"CumSum",
     [](Net& net) {
       const ValueId axis = net.constant("axis", int64_tensor(std::vector<int64_t>{-2}).reshaped({}));
       give_first(net, net.node("CumSum", {last(net), axis}));
     }},
    {"TopK",
     [](Net& net) {
       const ValueId values = net.node("TopK", {last(net), integers(net, {2})}, {}, "top", 2);
       give_first(net, values, "y1");
       give_first(net, net.graph().find("top_1"), "y2");
     }},
    {"ArgMax", between("ArgMax", {attribute("axis", 3)})},
    {"ArgMinWithoutTheAxis", behind([](Net& net, ValueId x) {
       return net.node("ArgMin", {x}, {attribute("axis", -1), attribute("keepdims", 0)});  // [2, 5, 7]
     })},
    {"ReduceMean", between("ReduceMean", {ints("axes", {1, -1})})},
    {"ReduceSumByAnInput", between("ReduceSum", {}, {{2}})},
    {"ReduceMaxOfVersion18", between("ReduceMax", {}, {{-3, 2}}), 0, 18},
    {"ReduceL2OfAll", between("ReduceL2")},
    {"ReduceWithoutTheAxes", behind([](Net& net, ValueId x) {
       return net.node("ReduceSumSquare", {x}, {ints("axes", {1, 2}), attribute("keepdims", 0)});  // [2, 3]
     })},
    {"ReduceWithoutOneAxis",
     [](Net& net) {  // [2, 7, 3]
       const ValueId y = net.node("ReduceMin", {last(net)}, {ints("axes", {-3}), attribute("keepdims", 0)});
       net.output(transposed(net, y, {0, 2, 1}), "y");
     }},
    {"GatherOfChannels", between("Gather", {attribute("axis", -1)}, {{2, 0, -1, 1}})},
    {"GatherOfOneRow",
     [](Net& net) {  // [2, 7, 3]
       const ValueId index = net.constant("two", int64_tensor(std::vector<int64_t>{-2}).reshaped({}));
       const ValueId row = net.node("Gather", {last(net), index}, {attribute("axis", 1)});
       net.output(transposed(net, row, {0, 2, 1}), "y");
     }},
    {"GatherOfATableOfColumns",
     [](Net& net) {  // [2, 5, 2, 3, 3]
       const ValueId index =
           net.constant("table", int64_tensor(std::vector<int64_t>{6, 0, 1, 2, 3, 5}).reshaped({2, 3}));
       const ValueId columns = net.node("Gather", {last(net), index}, {attribute("axis", 2)});
       net.output(transposed(net, columns, {0, 4, 1, 2, 3}), "y");
     }},
    {"GatherElements",
     [](Net& net) {
       const ValueId x = last(net);
       const ValueId order = net.node("TopK", {x, integers(net, {3})}, {}, "top", 2);
       net.output(transposed(net, order, kToFirst), "z");
       give_first(net, net.node("GatherElements", {x, net.graph().find("top_1")}, {attribute("axis", 3)}));
     }},
    {"ScatterElements",
     [](Net& net) {  // the second of two updates of one element stays
       const ValueId index =
           net.constant("index", int64_tensor(std::vector<int64_t>{2, 2, 0, 1, 1, 1}).reshaped({1, 2, 1, 3}));
       give_first(net,
                  net.node("ScatterElements", {last(net), index, numbers(net, {1, 2, 1, 3})}, {attribute("axis", 3)}));
     }},
};

// --- sizes and dimensions --------------------------------------------------------------------------------------------

const std::vector<SinkCase> kSizes{
    {"Slice", between("Slice", {}, {{1, 0}, {-1, 2}, {2, -1}})},
    {"SliceOfTheFirstAxes", between("Slice", {}, {{0, 1}, {1, 9}})},
    {"SliceBackwards", between("Slice", {}, {{-1}, {-100}, {1}, {-2}})},
    {"SliceByAttributes", between("Slice", {ints("starts", {1, 0}), ints("ends", {3, 2}), ints("axes", {1, 3})}), 0, 9},
    {"SliceOfTheFirstAxesByAttributes", between("Slice", {ints("starts", {0, 1}), ints("ends", {1, 4})}), 0, 9},
    {"SliceOfVersion10InInt32",
     [](Net& net) {
       const auto list = [&](const char* name, std::vector<int32_t> values) {
         return net.constant(name, Tensor::copy<int32_t>({static_cast<int64_t>(values.size())}, values));
       };
       give_first(net, net.node("Slice", {last(net), list("starts", {0, 1}), list("ends", {1, 4})}));
     }},
    {"Pad", between("Pad", {}, {{0, 1, 2, 0, 0, 0, 3, 1}})},
    {"PadWithANumber",
     [](Net& net) {
       give_first(net, net.node("Pad", {last(net), integers(net, {0, 1, 2, 0, 0, 0, 3, 1}), numbers(net, {})}));
     }},
    {"PadByReflection", between("Pad", {attribute("mode", "reflect")}, {{0, 1, 2, 0, 0, 0, 3, 1}})},
    {"PadByAnAttribute", between("Pad", {ints("pads", {0, 1, 2, 0, 0, 0, -1, 1}), attribute("value", 0.5f)}), 0, 10},
    {"PadOfSomeAxes",
     [](Net& net) {
       give_first(net, net.node("Pad", {last(net), integers(net, {1, 2, 0, 3}), {}, integers(net, {-1, 1})}));
     },
     0, 18},
    {"ResizeNearestBySizes",
     [](Net& net) {
       give_first(
           net, net.node("Resize", {last(net), {}, {}, integers(net, {2, 9, 11, 3})}, {attribute("mode", "nearest")}));
     }},
    {"ResizeLinearByScales",
     [](Net& net) {
       give_first(net,
                  net.node("Resize", {last(net), {}, floats(net, {1, 2, 1.5f, 1})}, {attribute("mode", "linear")}));
     }},
    {"ResizeOfARegion",
     [](Net& net) {
       const ValueId region = floats(net, {0, 0.1f, 0.2f, 0, 1, 0.8f, 0.9f, 1});
       give_first(net, net.node("Resize", {last(net), region, floats(net, {1, 2, 1.5f, 1})},
                                {attribute("mode", "linear"),
                                 attribute("coordinate_transformation_mode", "tf_crop_and_resize")}));
     }},
    {"ResizeOfSomeAxes",
     [](Net& net) {
       give_first(net, net.node("Resize", {last(net), {}, {}, integers(net, {11, 9})},
                                {attribute("mode", "nearest"), ints("axes", {2, 1})}));
     },
     0, 18},
    {"ResizeOfVersion10",
     [](Net& net) {
       give_first(net, net.node("Resize", {last(net), floats(net, {1, 2, 3, 1})}));
     },
     0, 10},
    {"ResizeLinearOfWhatWouldBeNoLastAxes",  // other runtimes would refuse it
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {2, 5, 7, 3}, kType), kToFirst);
       const ValueId y = net.node("Resize", {x, {}, floats(net, {1, 1, 2, 1.5f})}, {attribute("mode", "linear")});
       net.output(transposed(net, y, kToLast), "y");
     },
     2},
    {"UpsampleByAnAttribute",
     [](Net& net) {
       give_first(net, net.node("Upsample", {last(net)}, {{"scales", std::vector<float>{1, 2, 3, 1}, {}}}));
     },
     0, 7},
    {"UpsampleByAnInput",
     [](Net& net) {
       give_first(net, net.node("Upsample", {last(net), floats(net, {1, 2, 3, 1})}));
     },
     0, 9},
    {"Tile", between("Tile", {}, {{1, 2, 1, 3}})},
    {"ExpandOfChannels",
     [](Net& net) {
       const ValueId mean = net.node("ReduceMean", {last(net)}, {ints("axes", {1, 2})});
       give_first(net, net.node("Expand", {mean, integers(net, {5, 7, 1})}));
     }},
    {"Squeeze",
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {2, 3, 1, 7}, kType), kToLast);
       const ValueId y = net.node("Squeeze", {x, integers(net, {-3})});  // [2, 7, 3]
       net.output(transposed(net, y, {0, 2, 1}), "y");
     }},
    {"SqueezeByAnAttribute",
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {2, 3, 1, 7}, kType), kToLast);
       net.output(transposed(net, net.node("Squeeze", {x}, {ints("axes", {1})}), {0, 2, 1}), "y");
     },
     0, 11},
    {"SqueezeOfAllOnes",
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {2, 3, 1, 7}, kType), kToLast);
       net.output(transposed(net, net.node("Squeeze", {x}), {0, 2, 1}), "y");
     }},
    {"Unsqueeze",
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {2, 3, 7}, kType), {0, 2, 1});
       give_first(net, net.node("Unsqueeze", {x, integers(net, {1})}));  // [2, 1, 7, 3]
     }},
    {"UnsqueezeAtTheEnd",
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {2, 3, 7}, kType), {0, 2, 1});
       const ValueId y = net.node("Unsqueeze", {x, integers(net, {-1})});  // [2, 7, 3, 1]
       net.output(transposed(net, y, {0, 2, 3, 1}), "y");
     }},
    {"ConvolutionOfOneDimension",  // as Keras has it: an image of one row between two Transposes, for each
     [](Net& net) {
       ValueId x = net.input("x", {2, 11, 3}, kType);
       for (const int64_t channels : {3, 4}) {
         const ValueId row = transposed(net, net.node("Unsqueeze", {x, integers(net, {1})}), kToFirst);
         const ValueId y = net.node("Conv", {row, numbers(net, {channels + 1, channels, 1, 3}, -1, 1)});
         const ValueId narrow = net.node("Squeeze", {transposed(net, y, kToLast), integers(net, {1})});
         x = net.node("Relu", {net.node("Add", {narrow, numbers(net, {channels + 1})})});
       }
       net.output(x, "y");
     },
     2},
    {"ReshapeThatJoinsRowsAndColumns",
     [](Net& net) {  // [2, 35, 3]
       const ValueId y = net.node("Reshape", {last(net), integers(net, {0, -1, 3})});
       net.output(transposed(net, y, {0, 2, 1}), "y");
     }},
    {"ReshapeThatDividesChannels",
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {2, 6, 5, 7}, kType), kToLast);
       const ValueId y = net.node("Reshape", {x, integers(net, {2, 5, 7, 3, 2})});
       net.output(transposed(net, y, {0, 3, 4, 1, 2}), "y");
     }},
    {"ReshapeThatJoinsWhatComesApart",
     [](Net& net) {
       net.output(net.node("Reshape", {last(net), integers(net, {2, 105})}), "y");
     },
     1},
    {"ReshapeThatJoinsWhatChangesPlaces",
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {2, 3, 5, 7}, kType), {0, 1, 3, 2});
       net.output(net.node("Reshape", {x, integers(net, {2, 105})}), "y");
     },
     1},
    {"FlattenBeforeADenseLayer",  // its weights take up the order, those of Conv and Relu before it as well
     [](Net& net) {
       const ValueId x = transposed(net, conv(net, net.input("x", {-1, 3, 5, 7}, kType), 3, 4), kToLast);
       const ValueId flat = net.node("Reshape", {net.node("Relu", {x}), integers(net, {-1, 140})});
       net.output(net.node("MatMul", {flat, numbers(net, {140, 6}, -1, 1)}), "y");
     }},
    {"FlattenBeforeTwoGemms",
     [](Net& net) {
       const ValueId flat = net.node("Flatten", {last(net)});
       net.output(net.node("Gemm", {flat, numbers(net, {105, 4}), numbers(net, {4})}), "y1");
       net.output(net.node("Gemm", {flat, numbers(net, {6, 105}), numbers(net, {6})},
                           {attribute("transB", 1), attribute("alpha", 0.5f)}),
                  "y2");
     }},
    {"ReshapeOfRowsBeforeADenseLayer",
     [](Net& net) {  // [2, 5, 21] of [2, 5, 3, 7]
       const ValueId x = transposed(net, net.input("x", {2, 5, 3, 7}, kType), {0, 1, 3, 2});
       net.output(net.node("MatMul", {net.node("Reshape", {x, integers(net, {2, 5, -1})}), numbers(net, {21, 4})}),
                  "y");
     }},
    {"FlattenBeforeAnotherReader",
     [](Net& net) {
       const ValueId flat = net.node("Flatten", {last(net)});
       net.output(net.node("MatMul", {flat, numbers(net, {105, 6})}), "y1");
       net.output(net.node("Softmax", {flat}), "y2");
     },
     1},
    {"FlattenOfTheBatchBeforeADenseLayer",
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {2, 3, 5}, kType), {1, 0, 2});
       net.output(net.node("MatMul", {net.node("Flatten", {x}), numbers(net, {10, 6})}), "y");
     },
     1},
    {"FlattenBeforeAGemmOfItsTranspose",
     [](Net& net) {
       const ValueId flat = net.node("Flatten", {last(net)});
       net.output(net.node("Gemm", {flat, numbers(net, {2, 6})}, {attribute("transA", 1)}), "y");
     },
     1},
    {"FlattenBeforeAWeightThatIsComputed",
     [](Net& net) {
       const ValueId flat = net.node("Flatten", {last(net)});
       net.output(net.node("MatMul", {flat, net.input("w", {105, 2}, kType)}), "y");
     },
     1},
    {"FlattenOfAPixel",
     [](Net& net) {
       const ValueId mean = net.node("ReduceMean", {last(net)}, {ints("axes", {1, 2})});
       net.output(net.node("Flatten", {mean}), "y");
     }},
    {"Shape",
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {-1, 3, 5, 7}, kType), kToLast);
       net.output(net.node("Shape", {x}), "shape");
       net.output(net.node("Size", {x}), "size");
       give_first(net, net.node("Relu", {x}));
     }},
    {"ReshapeBetweenPixelsOnly",  // a Transpose that moves dimensions of 1 is a Reshape
     [](Net& net) {
       give_first(net, net.input("x", {2, 1, 1, 3}, kType));
     }},
    {"ReshapeOfAnUnknownBatch",
     [](Net& net) {
       give_first(net, net.input("x", {-1, 1, 1, 3}, kType));
     }},
};

INSTANTIATE_TEST_SUITE_P(Elementwise, SinkTransposes, testing::ValuesIn(kElementwise), case_name);
INSTANTIATE_TEST_SUITE_P(Quantized, SinkTransposes, testing::ValuesIn(kQuantized), case_name);
INSTANTIATE_TEST_SUITE_P(Axes, SinkTransposes, testing::ValuesIn(kAxes), case_name);
INSTANTIATE_TEST_SUITE_P(Sizes, SinkTransposes, testing::ValuesIn(kSizes), case_name);

// --- regions ---------------------------------------------------------------------------------------------------------

const std::vector<SinkCase> kRegions{
    {"Residual",
     [](Net& net) {
       ValueId x = net.node("Relu", {transposed(net, conv(net, net.input("x", {2, 3, 5, 7}, kType), 3, 4), kToLast)});
       for (int i = 0; i < 3; ++i) {
         const ValueId inside = transposed(net, conv(net, transposed(net, x, kToFirst), 4, 4), kToLast);
         x = net.node("Relu", {net.node("Add", {x, inside})});
       }
       give_first(net, x);
     }},
    {"SeveralReaders",  // one of them needs it as it is
     [](Net& net) {
       const ValueId x = last(net);
       give_first(net, net.node("Relu", {x}), "y1");
       give_first(net, net.node("Sigmoid", {x}), "y2");
       net.output(net.node("MatMul", {x, numbers(net, {3, 4})}), "y3");
     },
     1},
    {"OneOperandWithoutATranspose",
     [](Net& net) {
       give_first(net, net.node("Add", {last(net), net.input("z", {2, 5, 7, 3}, kType)}));
     },
     1},
    {"TwoReadersShareATranspose",
     [](Net& net) {
       const ValueId z = net.input("z", {2, 5, 7, 3}, kType);
       give_first(net, net.node("Add", {last(net), z}), "y1");
       give_first(net, net.node("Mul", {last(net, "w"), z}), "y2");
     },
     1},
    {"NothingToBeGained", behind([](Net& net, ValueId x) { return net.node("Relu", {x}); }), 1},
    {"APartOnly",  // the second half belongs to where channels are last
     [](Net& net) {
       const ValueId x = net.node("Relu", {last(net)});
       give_first(net, x, "y1");
       ValueId y = net.node("Add", {x, net.input("z", {2, 5, 7, 3}, kType)});
       y = net.node("Mul", {y, net.input("u", {2, 5, 7, 3}, kType)});
       net.output(net.node("MatMul", {y, numbers(net, {3, 4})}), "y2");
     },
     1},
    {"OutputInside",
     [](Net& net) {
       const ValueId x = net.node("Relu", {last(net)});
       net.output(x, "inside");
       give_first(net, net.node("Sigmoid", {x}));
     },
     1},
    {"OutputOfEachSide",
     [](Net& net) {
       const ValueId x = net.node("Relu", {last(net)});
       net.output(x, "inside");
       give_first(net, x);
     },
     1},
    {"OtherPermutation",  // of the second operand: one is left of three
     [](Net& net) {
       const ValueId z = transposed(net, net.input("z", {2, 3, 7, 5}, kType), {0, 3, 2, 1});
       give_first(net, net.node("Add", {last(net), z}));
     },
     1},
    {"OtherPermutationBehind",
     [](Net& net) {
       const ValueId x = net.node("Relu", {last(net)});
       give_first(net, x, "y1");
       net.output(transposed(net, x, {3, 1, 0, 2}), "y2");
     },
     1},
    {"TransposeOfATransposeThatOthersRead",
     [](Net& net) {
       const ValueId x = last(net);
       net.output(x, "y1");
       net.output(net.node("Relu", {transposed(net, x, {1, 0, 2, 3})}), "y2");
       net.output(net.node("Relu", {transposed(net, x, kToFirst)}), "y3");
     },
     2},
    {"TransposesOfATransposeThatMovesElements",  // they move a 1, and would move elements of x
     [](Net& net) {
       const ValueId x = transposed(net, net.input("x", {1, 3, 5, 7}, kType), kToLast);
       net.output(net.node("Relu", {transposed(net, x, {1, 0, 2, 3})}), "y1");
       net.output(net.node("Sigmoid", {transposed(net, x, {1, 2, 0, 3})}), "y2");
     },
     1},
    {"TransposesBehindWhatIsTurned",  // likewise
     [](Net& net) {
       const ValueId x = net.input("x", {1, 1, 3, 5, 7}, kType);
       const ValueId y = net.node("Relu", {transposed(net, x, {0, 1, 3, 4, 2})});
       net.output(transposed(net, y, {0, 1, 4, 2, 3}), "y1");
       net.output(net.node("Exp", {transposed(net, y, {2, 0, 1, 3, 4})}), "y2");
       net.output(net.node("Sin", {transposed(net, y, {0, 2, 3, 1, 4})}), "y3");
       net.output(net.node("Cos", {transposed(net, y, {2, 0, 3, 4, 1})}), "y4");
     },
     1},
    {"AValueAndItsTranspose",  // which goes, as the one that the region makes takes its place
     [](Net& net) {
       const ValueId x = net.input("x", {1, 4, 1, 1}, kType);
       const ValueId least = net.node("Min", {x, transposed(net, x, {1, 2, 0, 3})});
       net.output(transposed(net, least, {3, 1, 2, 0}), "y");
     }},
    {"EqualTransposesThatAreToBePermutedDifferently",
     [](Net& net) {
       const ValueId x = net.input("x", {4, 4, 4}, kType), z = net.input("z", {4, 4, 4}, kType);
       const ValueId first = transposed(net, x, {0, 2, 1}), second = transposed(net, x, {0, 2, 1});
       const ValueId sum = net.node("Add", {transposed(net, z, {0, 2, 1}), x});
       const ValueId other = net.node("Add", {sum, first});
       const ValueId row = net.node("ReduceSum", {sum, integers(net, {0})}, {{"keepdims", int64_t{0}, {}}});
       const ValueId product = net.node("Mul", {net.node("Unsqueeze", {row, integers(net, {2})}), second});
       net.output(transposed(net, product, {1, 2, 0}), "y1");
       net.output(transposed(net, sum, {0, 2, 1}), "y2");
       net.output(transposed(net, other, {0, 2, 1}), "y3");
       const auto chain = [&](ValueId value, const std::vector<int64_t>& perm, const std::string& name) {
         for (int i = 0; i < 3; ++i) {
           value = net.node("Neg", {value});
           net.output(transposed(net, value, perm), name + std::to_string(i));
         }
       };
       chain(other, {0, 2, 1}, "w");
       chain(product, {1, 2, 0}, "v");
     },
     2},
    {"ReshapeThatGivesTheSameOfAPermutedValue",  // and others read that permuted
     [](Net& net) {
       const ValueId x =
           net.node("Pad", {net.input("x", {1, 4, 1, 2}, kType), integers(net, {0, 0, 0, 0, 0, 1, 0, 0})});
       const ValueId most = net.node("Max", {transposed(net, x, {0, 2, 1, 3}), transposed(net, x, {0, 3, 1, 2})});
       net.output(most, "y1");
       net.output(net.node("ReduceL2", {transposed(net, most, {2, 1, 0, 3})}, {ints("axes", {0})}), "y2");
     },
     1},
    {"WithoutAPermutation",
     [](Net& net) {  // reversed
       const ValueId x = net.node("Transpose", {net.input("x", {2, 3, 5, 7}, kType)});
       net.output(net.node("Transpose", {net.node("Add", {x, numbers(net, {3, 1})})}), "y");
     }},
    {"ConstantOfBothSides",
     [](Net& net) {
       const ValueId k = numbers(net, {5, 7, 3});
       give_first(net, net.node("Add", {last(net), k}), "y1");
       net.output(net.node("Add", {net.input("z", {2, 5, 7, 3}, kType), k}), "y2");
     }},
    {"OneValueTwice",
     [](Net& net) {
       const ValueId x = last(net);
       give_first(net, net.node("Mul", {x, x}));
     }},
    {"TheSameTransposeOnBothSides",  // it gives one operand and reads the other
     [](Net& net) {
       const ValueId x = net.node("Relu", {net.input("x", {4, 4, 4}, kType)});
       const ValueId y = transposed(net, x, {0, 2, 1});
       net.output(net.node("Add", {net.node("Mul", {x, numbers(net, {4, 1, 4})}), net.node("Sigmoid", {y})}), "y");
     },
     1},
};
INSTANTIATE_TEST_SUITE_P(Regions, SinkTransposes, testing::ValuesIn(kRegions), case_name);

TEST(SinkTransposesOnce, ASmallerOneIsLeft) {
  Net net;
  const ValueId x = net.input("x", {2, 5, 7, 3}, kType);
  const ValueId padded = net.node("Pad", {x, integers(net, {0, 1, 2, 0, 0, 0, 1, 0})});
  const ValueId first = transposed(net, padded, kToFirst);
  net.output(net.node("Conv", {first, numbers(net, {4, 3, 3, 2})}), "y");
  EXPECT_EQ(expect_left(net, 1).count("Pad"), 0);  // the convolution takes its zeros now
}

TEST(SinkTransposesOnce, NamesStay) {
  Net net;
  const ValueId x = net.node("Relu", {last(net)}, {}, "inside");
  net.output(x, "inside");
  net.output(net.node("Transpose", {net.node("Sigmoid", {x}, {}, "gate")}, {ints("perm", kToFirst)}, "y"));
  const ir::Graph graph = expect_left(net, 1).model.graph;
  EXPECT_TRUE(graph.node(graph.producer(graph.find("inside"))).is("Transpose"));
  EXPECT_TRUE(graph.node(graph.producer(graph.find("y"))).is("Sigmoid")) << ir::dump(graph);
}

TEST(SinkTransposesOnce, WhatNothingIsGainedFromStaysAsItIs) {
  Net net;
  net.output(net.node("Relu", {last(net)}), "y");
  net.output(net.node("MatMul", {net.node("Sigmoid", {last(net, "z")}), numbers(net, {3, 4})}), "y2");
  EXPECT_EQ(ir::dump(optimize(net.model()).model.graph), [&] {
    OptimizeOptions without;
    without.disable = {"sink_transposes"};
    return ir::dump(optimize(net.model(), without).model.graph);
  }());
}

/// A convolution, BatchNormalization in the arithmetic of channels that are last, Relu6 and all that tf2onnx writes.
struct Keras {
  Net net;
  ValueId x;
  int64_t channels;

  void convolution(int64_t filters, int64_t stride) {
    if (stride > 1) x = net.node("Pad", {x, integers(net, {0, 0, 1, 0, 0, 1, 0, 0})});
    const ValueId first = transposed(net, x, kToFirst);
    const ValueId y = net.node("Conv", {first, numbers(net, {filters, channels, 3, 2}, -0.5, 0.5)},
                               {ints("strides", {stride, stride}), ints("pads", {1, 1, 1, 0})});
    x = transposed(net, y, kToLast);
    channels = filters;
    x = net.node("Mul", {x, numbers(net, {filters})});
    x = net.node("Add", {net.node("Sub", {x, numbers(net, {filters})}), numbers(net, {1, 1, 1, filters})});
  }
  void relu6() {
    x = net.node("Relu", {x});
    x = net.node("Min", {x, numbers(net, {}, 6, 6)});
  }
  /// By how much channels count, from their mean.
  void squeeze_and_excite() {
    const ValueId image = x;
    const ValueId mean = net.node("ReduceMean", {x}, {ints("axes", {1, 2}), attribute("keepdims", 0)});
    const ValueId pixel = net.node("Reshape", {mean, integers(net, {-1, 1, 1, channels})});
    const ValueId weights = numbers(net, {channels, channels, 1, 1}, -1, 1);
    x = transposed(net, net.node("Conv", {transposed(net, pixel, kToFirst), weights}), kToLast);
    x = net.node("Mul", {net.node("Sigmoid", {x}), image});
  }
};

TEST(SinkTransposesOnce, ModelOfKeras) {
  Keras k{.net = Net(), .x = {}, .channels = 3};
  k.x = k.net.input("image", {-1, 17, 14, 3}, kType);
  k.convolution(6, 2);
  k.relu6();
  const ValueId shortcut = k.x;
  k.convolution(6, 1);
  k.relu6();
  k.squeeze_and_excite();
  k.x = k.net.node("Add", {shortcut, k.x});
  k.convolution(8, 2);
  k.relu6();
  k.x = k.net.node("ReduceMean", {k.x}, {ints("axes", {1, 2}), attribute("keepdims", 0)});
  k.x = k.net.node("MatMul", {k.x, numbers(k.net, {8, 4})});
  k.net.output(k.net.node("Softmax", {k.net.node("Add", {k.x, numbers(k.net, {4})})}), "scores");
  const Optimized result = expect_left(k.net, 1);
  EXPECT_EQ(result.count("Pad"), 0);
  EXPECT_EQ(result.count("Sub"), 0);  // all of the arithmetic is in weights
  EXPECT_EQ(result.count("Mul"), 1);
  const ir::Graph& graph = result.model.graph;
  EXPECT_TRUE(graph.node(graph.uses(graph.find("image")).begin()->node).is("Transpose"));
}

// --- guards ----------------------------------------------------------------------------------------------------------

/// The image with channels last through a node, and back: what is left when the node may not be turned.
void expect_blocked(const std::function<ValueId(Net&, ValueId)>& node, const OptimizeOptions& options = {}) {
  Net net;
  give_first(net, node(net, last(net)));
  EXPECT_EQ(optimize(net.model(), options).count("Transpose"), 2);
}

TEST(SinkTransposesGuards, OperatorsThatAreNotKnown) {
  expect_blocked([](Net& net, ValueId x) { return net.node("NoSuchOperator", {x}); });
  expect_blocked([](Net& net, ValueId x) {
    return net.node("InstanceNormalization", {x, numbers(net, {5}), numbers(net, {5})});
  });
  expect_blocked([](Net& net, ValueId x) { return net.node("MaxPool", {x}, {ints("kernel_shape", {2, 2})}); });
}

TEST(SinkTransposesGuards, OperatorOfAnotherDomain) {
  expect_blocked([](Net& net, ValueId x) {
    ir::NodeSpec spec{.op_type = "Relu", .domain = "com.example", .inputs = {x}};
    spec.outputs.push_back({"own", ir::Type::tensor(kType, ir::Dims{2, 5, 7, 3}), {}});
    return net.graph().node(net.graph().add_node(std::move(spec))).outputs[0];
  });
}

TEST(SinkTransposesGuards, BrokenNode) {
  expect_blocked([](Net& net, ValueId x) { return net.node("Softmax", {x}, {attribute("axis", 9)}); });
}

TEST(SinkTransposesGuards, WhatIsKnownOnlyAtRunTime) {
  const auto list = [](Net& net, const char* name, int64_t size) { return net.input(name, {size}, DataType::kInt64); };
  expect_blocked([&](Net& net, ValueId x) { return net.node("ReduceSum", {x, list(net, "axes", 2)}); });
  expect_blocked([&](Net& net, ValueId x) { return net.node("Pad", {x, list(net, "pads", 8)}); });
  expect_blocked([&](Net& net, ValueId x) { return net.node("Tile", {x, list(net, "repeats", 4)}); });
  expect_blocked([&](Net& net, ValueId x) { return net.node("Expand", {x, list(net, "shape", 4)}); });
  expect_blocked([&](Net& net, ValueId x) {
    return net.node("Slice", {x, list(net, "starts", 2), list(net, "ends", 2), list(net, "axes", 2)});
  });
  expect_blocked([&](Net& net, ValueId x) {
    return net.node("Resize", {x, {}, {}, list(net, "sizes", 4)}, {attribute("mode", "nearest")});
  });
}

TEST(SinkTransposesGuards, SliceWhoseStartsAreNotKnown) {  // its axes are
  Net net;
  const ValueId starts = net.input("starts", {2}, DataType::kInt64), ends = net.input("ends", {2}, DataType::kInt64);
  give_first(net, net.node("Slice", {last(net), starts, ends, integers(net, {3, 1})}), "y1");
  give_first(net, net.node("Slice", {last(net, "z"), starts, ends}), "y2");
  EXPECT_EQ(optimize(net.model()).count("Transpose"), 0);
}

TEST(SinkTransposesGuards, RankThatIsNotKnown) {
  expect_blocked([](Net& net, ValueId x) {
    return net.node("Add", {x, net.graph().add_input("z", ir::Type::tensor(kType))});
  });
}

TEST(SinkTransposesGuards, PinnedName) {
  expect_blocked([](Net& net, ValueId x) {
    net.graph().pin("pinned");
    return net.node("Relu", {x}, {}, "pinned");
  });
}

TEST(SinkTransposesGuards, NodeThatTheUserKeeps) {
  OptimizeOptions options;
  options.keep = {"kept"};
  expect_blocked([](Net& net, ValueId x) { return net.node("Mul", {x, numbers(net, {3})}, {}, "kept"); }, options);
}

TEST(SinkTransposesGuards, DropoutThatTrains) {
  expect_blocked([](Net& net, ValueId x) {
    const ValueId training = net.constant("training", Tensor::copy<bool>({}, std::array{true}));
    return net.node("Dropout", {x, net.weight("ratio", {}, 0.3, 0.4), training});
  });
}

TEST(SinkTransposesGuards, ValueThatANestedGraphReads) {
  Net body;
  const ValueId outside = body.graph().add_capture("inside", ir::Type::tensor(kType, ir::Dims{2, 5, 7, 3}));
  body.output(body.node("Exp", {outside}), "b");
  Net net;
  const ValueId x = net.node("Relu", {last(net)}, {}, "inside");
  give_first(net, x);
  const ir::Subgraph branch{std::make_shared<const ir::Graph>(body.graph()), {x}};
  const ValueId condition = net.input("condition", {}, DataType::kBool);
  net.output(net.node("If", {condition}, {{"then_branch", branch, {}}, {"else_branch", branch, {}}}), "z");
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.count("Transpose"), 1);  // of what the branches read, which is as it was
  const ir::Graph& graph = result.model.graph;
  EXPECT_TRUE(graph.node(graph.producer(graph.find("inside"))).is("Transpose")) << ir::dump(graph);
}

TEST(SinkTransposesOnce, BodiesOfIf) {
  Net body;
  const ValueId outside = body.graph().add_capture("x", ir::Type::tensor(kType, ir::Dims{2, 3, 5, 7}));
  const ValueId shifted = body.node("Add", {transposed(body, outside, kToLast), numbers(body, {3})});
  body.output(transposed(body, shifted, kToFirst), "b");
  Net net;
  const ValueId x = net.input("x", {2, 3, 5, 7}, kType);
  const ir::Subgraph branch{std::make_shared<const ir::Graph>(body.graph()), {x}};
  const ValueId condition = net.input("condition", {}, DataType::kBool);
  net.output(net.node("If", {condition}, {{"then_branch", branch, {}}, {"else_branch", branch, {}}}), "z");
  const ir::Model changed = optimize(net.model()).model;
  for (const ir::NodeId id : changed.graph.nodes())
    ir::for_each_subgraph(changed.graph.node(id), [&](const ir::Subgraph& each) {
      for (const ir::NodeId inside : each.graph->nodes())
        EXPECT_FALSE(each.graph->node(inside).is("Transpose")) << ir::dump(*each.graph);
    });
}

TEST(SinkTransposesOnce, ALargeWeightThatOthersNeedIsNotStoredTwice) {
  Net net;
  const ValueId flat = net.node("Flatten", {last(net)});
  const ValueId weight = net.weight("w", {105, 4}, -1, 1, kType);
  net.output(net.node("MatMul", {flat, weight}), "y1");
  net.output(net.node("MatMul", {net.input("z", {2, 105}, kType), weight}), "y2");
  OptimizeOptions options;
  options.limits.folded_bytes = 1024;
  const Optimized result = optimize(net.model(), options);
  EXPECT_EQ(result.count("Transpose"), 1);
  EXPECT_EQ(result.model.graph.initializers().size(), 1u);
}

}  // namespace
}  // namespace pli::test
