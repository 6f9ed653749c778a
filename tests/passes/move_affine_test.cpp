#include "passes/pipeline.h"
#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>

namespace pli::test {
namespace {

using ir::ValueId;

/// What becomes of a net: how many BatchNormalizations and constant Mul, Add, Sub and Div are left of it, at the least,
/// and what it computes is the same. Sizes differ from each other, images are not square, statistics are random.
struct MoveCase {
  const char* name;
  std::function<void(Net&)> build;
  int64_t left = 0;
  int64_t opset = 17;
};

std::ostream& operator<<(std::ostream& out, const MoveCase& c) { return out << c.name; }
std::string case_name(const testing::TestParamInfo<MoveCase>& info) { return info.param.name; }

int64_t affines_left(const ir::Graph& graph) {
  int64_t left = 0;
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node& node = graph.node(id);
    const bool arithmetic = node.is("Mul") || node.is("Add") || node.is("Sub") || node.is("Div");
    const bool constant = arithmetic && (graph.constant_of(node.inputs[0]) || graph.constant_of(node.inputs[1]));
    left += node.is("BatchNormalization") || node.is("Neg") || constant;
  }
  return left;
}

class MoveAffine : public testing::TestWithParam<MoveCase> {};

TEST_P(MoveAffine, ComputesTheSame) {
  Net net(GetParam().opset);
  GetParam().build(net);
  const Optimized result = optimize(net.model());
  EXPECT_EQ(affines_left(result.model.graph), GetParam().left) << ir::dump(result.model.graph);
  expect_equal_results(net.model(), result.model, 2e-6);
  for (const Fold& fold : result.report.batch_norms)
    EXPECT_TRUE(fold.folded ? !fold.into.empty() && !fold.how.empty() : !fold.code.empty() && !fold.reason.empty())
        << fold.output;
}

// --- pieces ----------------------------------------------------------------------------------------------------------

ValueId conv(Net& net, ValueId x, int64_t channels, int64_t filters, bool bias = true, const std::string& w = {}) {
  static int count = 0;
  const std::string name = w.empty() ? "w" + std::to_string(++count) : w;
  std::vector<ValueId> inputs{x, net.weight(name, {filters, channels, 3, 2})};
  if (bias) inputs.push_back(net.weight(name + "b", {filters}));
  return net.node("Conv", inputs);
}

/// [2, 6, 8, 10] behind a convolution.
ValueId image(Net& net, bool bias = true) { return conv(net, net.input("x", {2, 3, 10, 11}), 3, 6, bias); }

ValueId norm(Net& net, ValueId x, int64_t channels, std::vector<ir::Attribute> attributes = {}) {
  static int count = 0;
  return net.batch_norm(x, channels, "norm" + std::to_string(++count), std::move(attributes));
}

ValueId integers(Net& net, std::vector<int64_t> values) {
  static int count = 0;
  return net.constant("i" + std::to_string(++count), int64_tensor(values));
}

ValueId numbers(Net& net, Shape shape, double low = -1, double high = 1) {
  static int count = 0;
  return net.weight("k" + std::to_string(++count), std::move(shape), low, high);
}

/// Scale alone, above zero or of both signs.
ValueId scale(Net& net, ValueId x, int64_t channels, double low = 0.5) {
  return net.node("Mul", {x, numbers(net, {channels, 1, 1}, low, 2)});
}

// --- back through one node -------------------------------------------------------------------------------------------

std::function<void(Net&)> back_through(const char* op_type, std::vector<ir::Attribute> attributes = {},
                                       int64_t channels = 6, std::vector<std::vector<int64_t>> operands = {}) {
  return [=](Net& net) {
    std::vector<ValueId> inputs{image(net)};
    for (const auto& operand : operands) inputs.push_back(integers(net, operand));
    net.output(norm(net, net.node(op_type, inputs, attributes), channels), "y");
  };
}

const ir::Attribute kKernel = ints("kernel_shape", {2, 3});

const std::vector<MoveCase> kBack{
    {"Identity", back_through("Identity")},
    {"Dropout", back_through("Dropout")},
    {"CastToDouble",
     [](Net& net) {
       const ValueId wide = net.node("Cast", {image(net)}, {attribute("to", 11)});
       const ValueId back =
           net.node("Cast", {net.batch_norm(wide, 6, "n", {}, DataType::kFloat64)}, {attribute("to", 1)});
       net.output(back, "y");
     }},
    {"ReshapeThatJoinsAxesBehindTheChannels", back_through("Reshape", {}, 6, {{2, 6, 80}})},
    {"ReshapeOfTheBatch", back_through("Reshape", {}, 6, {{1, 2, 6, 80}}), 1},  // the channels are axis 1 no more
    {"ReshapeThatDividesTheChannels",
     [](Net& net) {  // [2, 6, 80] -> [2, 3, 2, 80], a factor for each half
       const ValueId divided = net.node("Reshape", {image(net), integers(net, {2, 3, 2, 80})});
       net.output(net.node("Mul", {divided, numbers(net, {1, 3, 2, 1})}), "y");
     }},
    {"ReshapeThatJoinsBatchAndChannelsEqually",
     [](Net& net) {  // running statistics of an InstanceNormalization, one after the other for each sample
       const ValueId joined = net.node("Reshape", {image(net), integers(net, {1, 12, 8, 10})});
       std::vector<ValueId> inputs{joined};
       for (const double low : {-2.0, -1.0, -0.5, 0.5}) {
         const Tensor once = net.random({6}, low, 2);
         std::vector<float> twice(once.data<float>().begin(), once.data<float>().end());
         twice.insert(twice.end(), once.data<float>().begin(), once.data<float>().end());
         inputs.push_back(net.constant("s" + std::to_string(low), Tensor::copy<float>({12}, twice)));
       }
       net.output(net.node("BatchNormalization", inputs), "y");
     }},
    {"ReshapeThatJoinsBatchAndChannels", back_through("Reshape", {}, 12, {{1, 12, 8, 10}}), 1},
    {"ReshapeThatTakesTheChannelsApartAnew", back_through("Reshape", {}, 12, {{2, 12, 40}}), 1},
    {"Flatten",
     [](Net& net) {
       net.output(net.node("Add", {net.node("Flatten", {image(net)}), numbers(net, {480})}), "y");
     },
     1},
    {"Unsqueeze", back_through("Unsqueeze", {}, 6, {{2}})},
    {"UnsqueezeInFront", back_through("Unsqueeze", {}, 2, {{0}}), 1},
    {"Squeeze",
     [](Net& net) {
       const ValueId thin = net.node("Conv", {net.input("x", {2, 3, 3, 9}), numbers(net, {6, 3, 3, 2})});
       net.output(norm(net, net.node("Squeeze", {thin, integers(net, {2})}), 6), "y");
     }},
    {"Transpose",
     [](Net& net) {
       const ValueId last = net.node("Transpose", {image(net)}, {ints("perm", {0, 2, 3, 1})});
       net.output(net.node("Add", {net.node("Mul", {last, numbers(net, {6})}), numbers(net, {1, 1, 6})}), "y");
     }},
    {"ChannelShuffle",
     [](Net& net) {
       const ValueId divided = net.node("Reshape", {image(net), integers(net, {2, 2, 3, 8, 10})});
       const ValueId turned = net.node("Transpose", {divided}, {ints("perm", {0, 2, 1, 3, 4})});
       net.output(norm(net, net.node("Reshape", {turned, integers(net, {2, 6, 8, 10})}), 6), "y");
     }},
    {"SliceOfRows", back_through("Slice", {}, 6, {{1}, {7}, {2}, {2}})},
    {"DepthToSpace",
     [](Net& net) {  // [2, 6, 8, 10] of 24 channels
       const ValueId deep = net.node("Conv", {net.input("x", {2, 3, 4, 5}), numbers(net, {24, 3, 1, 1})});
       net.output(norm(net, net.node("DepthToSpace", {deep}, {attribute("blocksize", 2)}), 6), "y");
     }},
    {"DepthToSpaceColumnFirst",
     [](Net& net) {
       const ValueId deep = net.node("Conv", {net.input("x", {2, 3, 4, 5}), numbers(net, {24, 3, 1, 1})});
       const std::vector<ir::Attribute> attributes{attribute("blocksize", 2), attribute("mode", "CRD")};
       net.output(norm(net, net.node("DepthToSpace", {deep}, attributes), 6), "y");
     }},
    {"SpaceToDepth", back_through("SpaceToDepth", {attribute("blocksize", 2)}, 24), 1},
    {"SpaceToDepthOfOneScale",
     [](Net& net) {
       const ValueId deep = net.node("SpaceToDepth", {image(net)}, {attribute("blocksize", 2)});
       net.output(net.node("Mul", {deep, numbers(net, {})}), "y");
     }},
    {"GatherOfChannels", back_through("Gather", {attribute("axis", 1)}, 4, {{5, 0, 3, 2}})},
    {"GatherOfOneChannelTwice", back_through("Gather", {attribute("axis", 1)}, 3, {{5, 0, 5}}), 1},
    {"GatherOfARow",
     [](Net& net) {
       const ValueId row =
           net.node("Gather", {image(net), net.constant("two", int64_tensor(std::vector<int64_t>{-2}).reshaped({}))},
                    {attribute("axis", 2)});
       net.output(norm(net, row, 6), "y");
     }},
    {"SliceOfChannels", back_through("Slice", {}, 2, {{1}, {5}, {1}, {2}})},
    {"SliceOfChannelsBackwards", back_through("Slice", {}, 6, {{-1}, {-100}, {1}, {-1}})},
    {"SplitOfChannels",
     [](Net& net) {
       const ValueId first = net.node("Split", {image(net), integers(net, {2, 4})}, {attribute("axis", 1)}, "part", 2);
       net.output(norm(net, first, 2), "y1");
       net.output(norm(net, net.graph().find("part_1"), 4), "y2");
     }},
    {"ExpandOfTheBatch",
     [](Net& net) {
       const ValueId one = net.node("Conv", {net.input("x", {1, 3, 10, 11}), numbers(net, {6, 3, 3, 2})});
       net.output(norm(net, net.node("Expand", {one, integers(net, {2, 6, 8, 10})}), 6), "y");
     }},
    {"PadWithReflections", back_through("Pad", {attribute("mode", "reflect")}, 6, {{0, 0, 1, 2, 0, 0, 0, 1}})},
    {"PadWithZerosAndAShift", back_through("Pad", {}, 6, {{0, 0, 1, 2, 0, 0, 0, 1}}), 1},
    {"PadWithZerosAndAScale",
     [](Net& net) {
       const ValueId padded = net.node("Pad", {image(net), integers(net, {0, 0, 1, 2, 0, 0, 0, 1})});
       net.output(scale(net, padded, 6, -1), "y");
     }},
    {"PadWithANumberThatCanBeMadeToFit",
     [](Net& net) {
       const ValueId padded =
           net.node("Pad", {image(net), integers(net, {0, 0, 1, 2, 0, 0, 0, 1}), numbers(net, {}, 3, 4)});
       net.output(net.node("Add", {net.node("Mul", {padded, numbers(net, {})}), numbers(net, {1})}), "y");
     }},
    {"AveragePool", back_through("AveragePool", {kKernel, ints("pads", {0, 1, 1, 0})})},
    {"AveragePoolThatCountsZeros",
     back_through("AveragePool", {kKernel, ints("pads", {0, 1, 1, 0}), attribute("count_include_pad", 1)}), 1},
    {"GlobalAveragePool", back_through("GlobalAveragePool")},
    {"ReduceMean",
     [](Net& net) {  // what is left are [2, 6, 8]
       const ValueId mean = net.node("ReduceMean", {image(net)}, {ints("axes", {-1}), attribute("keepdims", 0)});
       net.output(norm(net, mean, 6), "y");
     }},
    {"ReduceMeanOverTheChannels",
     [](Net& net) {
       const ValueId mean = net.node("ReduceMean", {image(net)}, {ints("axes", {1})});
       net.output(net.node("Mul", {mean, numbers(net, {})}), "y");
     }},
    {"ResizeNearest",
     [](Net& net) {
       const ValueId scales = net.constant("scales", Tensor::copy<float>({4}, std::vector<float>{1, 1, 2, 1.5f}));
       net.output(norm(net, net.node("Resize", {image(net), {}, scales}, {attribute("mode", "nearest")}), 6), "y");
     }},
    {"ResizeLinear",
     [](Net& net) {
       const ValueId scales = net.constant("scales", Tensor::copy<float>({4}, std::vector<float>{1, 1, 2, 1.5f}));
       net.output(norm(net, net.node("Resize", {image(net), {}, scales}, {attribute("mode", "linear")}), 6), "y");
     }},
    {"ResizeThatMixesChannels",
     [](Net& net) {
       const ValueId scales = net.constant("scales", Tensor::copy<float>({4}, std::vector<float>{1, 1.1f, 1, 1}));
       net.output(norm(net, net.node("Resize", {image(net), {}, scales}, {attribute("mode", "linear")}), 6), "y");
     },
     1},
    {"MaxPoolOfAScaleAboveZero",
     [](Net& net) {
       const ValueId pooled = net.node("MaxPool", {image(net)}, {kKernel});
       net.output(net.node("Add", {scale(net, pooled, 6), numbers(net, {6, 1, 1})}), "y");
     }},
    {"MaxPoolOfAScaleBelowZero",
     [](Net& net) { net.output(scale(net, net.node("MaxPool", {image(net)}, {kKernel}), 6, -2), "y"); }, 1},
    {"ReluOfAScaleAboveZero", [](Net& net) { net.output(scale(net, net.node("Relu", {image(net)}), 6), "y"); }},
    {"ReluOfAScaleBelowZero", [](Net& net) { net.output(scale(net, net.node("Relu", {image(net)}), 6, -2), "y"); }, 1},
    {"ReluOfAShift", back_through("Relu"), 1},
    {"Concat",
     [](Net& net) {
       const ValueId x = net.input("x", {2, 3, 10, 11});
       const ValueId both =
           net.node("Concat", {conv(net, x, 3, 4), conv(net, x, 3, 7, false), numbers(net, {2, 2, 8, 10})},
                    {attribute("axis", 1)});
       net.output(norm(net, both, 13), "y");
     }},
    {"ConcatOfRows",
     [](Net& net) {
       const ValueId x = net.input("x", {2, 3, 10, 11});
       const ValueId both = net.node("Concat", {conv(net, x, 3, 4), conv(net, x, 3, 4)}, {attribute("axis", 2)});
       net.output(norm(net, both, 4), "y");
     }},
    {"ConcatWithABranchWithoutWeights",
     [](Net& net) {
       const ValueId x = net.input("x", {2, 3, 8, 10});
       const ValueId same = net.node("Conv", {x, numbers(net, {4, 3, 1, 1})});
       net.output(norm(net, net.node("Concat", {same, x}, {attribute("axis", 1)}), 7), "y");
     },
     1},
    {"AddOfTwoConvolutions",
     [](Net& net) {
       const ValueId x = net.input("x", {2, 3, 10, 11});
       net.output(norm(net, net.node("Add", {conv(net, x, 3, 6), conv(net, x, 3, 6, false)}), 6), "y");
     }},
    {"SubOfTwoConvolutions",
     [](Net& net) {
       const ValueId x = net.input("x", {2, 3, 10, 11});
       net.output(norm(net, net.node("Sub", {conv(net, x, 3, 6), conv(net, x, 3, 6, false)}), 6), "y");
     }},
    {"AddOfAVectorThatIsBroadcast",
     [](Net& net) {  // [2, 6, 1, 1] of a pool, and the image
       const ValueId x = net.input("x", {2, 3, 10, 11});
       const ValueId pooled = net.node("GlobalAveragePool", {conv(net, x, 3, 6)});
       net.output(norm(net, net.node("Add", {pooled, conv(net, x, 3, 6)}), 6), "y");
     }},
    {"AddOfOneConvolutionTwice",
     [](Net& net) {
       const ValueId x = image(net);
       net.output(norm(net, net.node("Add", {x, x}), 6), "y");
     },
     1},
};
INSTANTIATE_TEST_SUITE_P(Back, MoveAffine, testing::ValuesIn(kBack), case_name);

// --- forward through one node ----------------------------------------------------------------------------------------

/// BatchNormalization of an input [2, 6, 8, 10] -> a node -> Conv.
std::function<void(Net&)> forth_through(const char* op_type, std::vector<ir::Attribute> attributes = {},
                                        std::vector<std::vector<int64_t>> operands = {}, int64_t channels = 6) {
  return [=](Net& net) {
    std::vector<ValueId> inputs{norm(net, net.input("x", {2, 6, 8, 10}), 6)};
    for (const auto& operand : operands) inputs.push_back(integers(net, operand));
    net.output(conv(net, net.node(op_type, inputs, attributes), channels, 5), "y");
  };
}

/// The same with a scale alone and any last node.
std::function<void(Net&)> scale_before(const std::function<ValueId(Net&, ValueId)>& last, double low = 0.5) {
  return [=](Net& net) { net.output(last(net, scale(net, net.input("x", {2, 6, 8, 10}), 6, low)), "y"); };
}

ValueId padded_conv(Net& net, ValueId x) {
  return net.node("Conv", {x, numbers(net, {5, 6, 3, 2})}, {ints("pads", {1, 0, 1, 1})});
}

const std::vector<MoveCase> kForth{
    {"Conv",
     [](Net& net) {
       net.output(conv(net, norm(net, net.input("x", {2, 6, 8, 10}), 6), 6, 5), "y");
     }},
    {"ConvWithoutBias",
     [](Net& net) {
       net.output(conv(net, norm(net, net.input("x", {2, 6, 8, 10}), 6), 6, 5, false), "y");
     }},
    {"ConvValid",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {2, 6, 8, 10}), 6);
       net.output(net.node("Conv", {x, numbers(net, {5, 6, 3, 2})}, {attribute("auto_pad", "VALID")}), "y");
     }},
    {"PointwiseConvThatPadsToTheSameSize",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {2, 6, 8, 10}), 6);
       net.output(net.node("Conv", {x, numbers(net, {5, 6, 1, 1})},
                           {attribute("auto_pad", "SAME_UPPER"), ints("strides", {2, 3})}),
                  "y");
     }},
    {"GroupedConv",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {2, 6, 8, 10}), 6);
       net.output(net.node("Conv", {x, numbers(net, {9, 2, 3, 2}), numbers(net, {9})}, {attribute("group", 3)}), "y");
     }},
    {"DepthwiseConv",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {2, 6, 8, 10}), 6);
       net.output(net.node("Conv", {x, numbers(net, {6, 1, 3, 2})}, {attribute("group", 6)}), "y");
     }},
    {"ConvThatPadsAndAScale", scale_before(padded_conv, -1)},
    {"ConvThatPadsAndAShift",
     [](Net& net) {
       net.output(padded_conv(net, norm(net, net.input("x", {2, 6, 8, 10}), 6)), "y");
     },
     1},
    {"ConvTransposeAndAScale", scale_before([](Net& net, ValueId x) {
       return net.node("ConvTranspose", {x, numbers(net, {6, 2, 3, 2})},
                       {attribute("group", 3), ints("strides", {2, 1})});
     })},
    {"ConvTransposeAndAShift",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {2, 6, 8, 10}), 6);
       net.output(net.node("ConvTranspose", {x, numbers(net, {6, 5, 3, 2})}), "y");
     },
     1},
    {"PointwiseConvTranspose",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {2, 6, 8, 10}), 6);
       net.output(
           net.node("ConvTranspose", {x, numbers(net, {6, 2, 1, 1}), numbers(net, {6})}, {attribute("group", 3)}), "y");
     }},
    {"Gemm",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {4, 6}), 6);
       net.output(net.node("Gemm", {x, numbers(net, {6, 5}), numbers(net, {5})},
                           {attribute("alpha", 0.5f), attribute("beta", -1.5f)}),
                  "y");
     }},
    {"GemmTransBWithoutC",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {4, 6}), 6);
       net.output(net.node("Gemm", {x, numbers(net, {5, 6})}, {attribute("transB", 1), attribute("alpha", 2.0f)}), "y");
     }},
    {"GemmTransA",
     [](Net& net) {  // the numbers run along dimension 0 of what is transposed
       const ValueId x = net.node("Mul", {net.input("x", {6, 4}), numbers(net, {6, 1})});
       const ValueId shifted = net.node("Add", {x, numbers(net, {6, 1})});
       net.output(net.node("Gemm", {shifted, numbers(net, {6, 5}), numbers(net, {5})}, {attribute("transA", 1)}), "y");
     }},
    {"GemmTransAAlongTheOtherAxis",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {6, 4}), 4);
       net.output(net.node("Gemm", {x, numbers(net, {6, 5})}, {attribute("transA", 1)}), "y");
     },
     1},
    {"GemmBehindFlatten",
     [](Net& net) {
       const ValueId x = net.node("Flatten", {norm(net, net.input("x", {2, 6, 3, 4}), 6)});
       net.output(net.node("Gemm", {x, numbers(net, {72, 5}), numbers(net, {5})}), "y");
     }},
    {"GemmBehindTransposeAndReshape",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {-1, 6, 3, 4}), 6);
       const ValueId last = net.node("Transpose", {x}, {ints("perm", {0, 2, 3, 1})});
       const ValueId flat = net.node("Reshape", {last, integers(net, {-1, 72})});
       net.output(net.node("Gemm", {flat, numbers(net, {72, 5}), numbers(net, {5})}), "y");
     }},
    {"MatMul",  // its shift is a bias: a Gemm
     [](Net& net) {
       net.output(net.node("MatMul", {norm(net, net.input("x", {4, 6}), 6), numbers(net, {6, 5})}), "y");
     }},
    {"MatMulAndItsBias",
     [](Net& net) {
       const ValueId product = net.node("MatMul", {norm(net, net.input("x", {4, 6}), 6), numbers(net, {6, 5})});
       net.output(net.node("Add", {numbers(net, {5}), product}), "y");
     }},
    {"MatMulOnTheLeft",
     [](Net& net) {
       const ValueId x = net.node("Mul", {net.input("x", {2, 6, 5}), numbers(net, {6, 1})});
       const ValueId shifted = net.node("Add", {x, numbers(net, {1, 6, 1})});
       net.output(net.node("MatMul", {numbers(net, {4, 6}), shifted}), "y");
     },
     1},
    {"MatMulOfABatchOfWeights",
     [](Net& net) {
       const ValueId x = net.node("Mul", {net.input("x", {3, 4, 6}), numbers(net, {6})});
       net.output(net.node("MatMul", {x, numbers(net, {3, 6, 5})}), "y");
     }},
    {"MatMulAlongTheOtherAxis",
     [](Net& net) {
       const ValueId x = net.node("Mul", {net.input("x", {4, 6}), numbers(net, {4, 1})});
       net.output(net.node("MatMul", {x, numbers(net, {6, 5})}), "y");
     },
     1},
    {"LinearReluNormLinear",  // Dense with an activation, BatchNormalization, Dense
     [](Net& net) {
       const ValueId first = net.node("MatMul", {net.input("x", {4, 6}), numbers(net, {6, 7})});
       const ValueId active = net.node("Relu", {first});
       const ValueId normed = net.node("Add", {net.node("Mul", {active, numbers(net, {7})}), numbers(net, {7})});
       const ValueId second = net.node("MatMul", {normed, numbers(net, {7, 5})});
       net.output(net.node("Add", {second, numbers(net, {5})}), "y");
     }},
    {"ToSeveralReaders",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {2, 6, 8, 10}), 6);
       net.output(conv(net, x, 6, 5), "y1");
       net.output(conv(net, x, 6, 4, false), "y2");
     }},
    {"ToSeveralReadersOneOfWhichHasNoWeights",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {2, 6, 8, 10}), 6);
       net.output(conv(net, x, 6, 5), "y1");
       net.output(net.node("Sigmoid", {x}), "y2");
     },
     1},
    {"OfAnOutput",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {2, 6, 8, 10}), 6);
       net.output(conv(net, x, 6, 5), "y1");
       net.output(x, "y2");
     },
     1},
    {"Identity", forth_through("Identity")},
    {"Transpose",
     [](Net& net) {
       const ValueId x = net.node("Mul", {net.input("x", {2, 8, 10, 6}), numbers(net, {6})});
       const ValueId first =
           net.node("Transpose", {net.node("Add", {x, numbers(net, {6})})}, {ints("perm", {0, 3, 1, 2})});
       net.output(conv(net, first, 6, 5), "y");
     }},
    {"AveragePool", forth_through("AveragePool", {kKernel})},
    {"ReduceMean", forth_through("ReduceMean", {ints("axes", {0})})},
    {"PadWithReflections", forth_through("Pad", {attribute("mode", "reflect")}, {{0, 0, 1, 0, 0, 0, 0, 2}})},
    {"SliceOfChannels", forth_through("Slice", {}, {{1}, {6}, {1}, {2}}, 3)},
    {"GatherOfChannels", forth_through("Gather", {attribute("axis", 1)}, {{5, 0, 5}}, 3)},
    {"SpaceToDepth", forth_through("SpaceToDepth", {attribute("blocksize", 2)}, {}, 24)},
    {"DepthToSpaceOfDifferentNumbers",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {2, 24, 4, 5}), 24);
       net.output(conv(net, net.node("DepthToSpace", {x}, {attribute("blocksize", 2)}), 6, 5), "y");
     },
     1},
    {"SplitOfChannels",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {2, 6, 8, 10}), 6);
       const ValueId first = net.node("Split", {x, integers(net, {2, 4})}, {attribute("axis", 1)}, "part", 2);
       net.output(conv(net, first, 2, 5), "y1");
       net.output(conv(net, net.graph().find("part_1"), 4, 3), "y2");
     }},
    {"ConcatWithSomethingElse",
     [](Net& net) {
       const ValueId x = norm(net, net.input("x", {2, 6, 8, 10}), 6);
       const ValueId both = net.node("Concat", {net.input("z", {2, 3, 8, 10}), x}, {attribute("axis", 1)});
       net.output(conv(net, both, 9, 5), "y");
     }},
    {"ReluOfAScale", scale_before([](Net& net, ValueId x) { return padded_conv(net, net.node("Relu", {x})); })},
    {"ReluOfANegativeScale",
     scale_before([](Net& net, ValueId x) { return padded_conv(net, net.node("Relu", {x})); }, -2), 1},
    {"LeakyReluOfAScale",
     scale_before([](Net& net, ValueId x) { return padded_conv(net, net.node("LeakyRelu", {x})); })},
    {"MaxPoolOfAScale",
     scale_before([](Net& net, ValueId x) { return padded_conv(net, net.node("MaxPool", {x}, {kKernel})); })},
    {"ShiftOfASum",
     [](Net& net) {
       const ValueId shifted = net.node("Add", {net.input("x", {2, 6, 8, 10}), numbers(net, {6, 1, 1})});
       net.output(conv(net, net.node("Sub", {net.input("z", {2, 6, 8, 10}), shifted}), 6, 5), "y");
     }},
};
INSTANTIATE_TEST_SUITE_P(Forth, MoveAffine, testing::ValuesIn(kForth), case_name);

// --- who absorbs beside linear operators -----------------------------------------------------------------------------

const std::vector<MoveCase> kNormalizations{
    {"InstanceNormalization",
     [](Net& net) {
       const ValueId x =
           net.node("InstanceNormalization", {net.input("x", {2, 6, 8, 10}), numbers(net, {6}), numbers(net, {6})});
       net.output(norm(net, x, 6), "y");
     }},
    {"LayerNormalization",
     [](Net& net) {
       const ValueId x =
           net.node("LayerNormalization", {net.input("x", {2, 4, 6}), numbers(net, {6}), numbers(net, {6})});
       net.output(net.node("Add", {net.node("Mul", {x, numbers(net, {6})}), numbers(net, {6})}), "y");
     }},
    {"LayerNormalizationWithoutBias",
     [](Net& net) {
       const ValueId x = net.node("LayerNormalization", {net.input("x", {2, 4, 6}), numbers(net, {6})});
       net.output(net.node("Add", {net.node("Mul", {x, numbers(net, {6})}), numbers(net, {6})}), "y");
     }},
    {"LayerNormalizationAlongAnotherAxis",
     [](Net& net) {
       const ValueId x =
           net.node("LayerNormalization", {net.input("x", {2, 4, 6}), numbers(net, {6}), numbers(net, {6})});
       net.output(norm(net, x, 4), "y");
     },
     1},
    {"GroupNormalization",
     [](Net& net) {
       const ValueId x =
           net.node("GroupNormalization", {net.input("x", {2, 6, 8, 10}), numbers(net, {6}), numbers(net, {6})},
                    {attribute("num_groups", 3)});
       net.output(norm(net, x, 6), "y");
     },
     0, 21},
    {"GroupNormalizationOfOneScaleAGroup",
     [](Net& net) {
       const ValueId x =
           net.node("GroupNormalization", {net.input("x", {2, 6, 8, 10}), numbers(net, {3}), numbers(net, {3})},
                    {attribute("num_groups", 3)});
       net.output(norm(net, x, 6), "y");
     },
     1, 18},
};
INSTANTIATE_TEST_SUITE_P(Normalizations, MoveAffine, testing::ValuesIn(kNormalizations), case_name);

// --- several affines -------------------------------------------------------------------------------------------------

const std::vector<MoveCase> kChains{
    {"MatMulSubMulAdd",  // Keras: what follows a MatMul without a bias is none yet
     [](Net& net) {
       ValueId x = net.node("MatMul", {net.input("x", {4, 6}), numbers(net, {6, 5})});
       x = net.node("Sub", {x, numbers(net, {1, 5})});
       x = net.node("Mul", {x, numbers(net, {5})});
       net.output(net.node("Add", {x, numbers(net, {5})}), "y");
     }},
    {"NormsThatNothingTakesUp",
     [](Net& net) {
       net.output(norm(net, norm(net, norm(net, net.input("x", {2, 6, 8, 10}), 6), 6), 6), "y");
     },
     1},
    {"NormAndArithmeticThatNothingTakesUp",
     [](Net& net) {
       const ValueId x = norm(net, scale(net, net.input("x", {2, 6, 8, 10}), 6), 6);
       net.output(net.node("Sub", {numbers(net, {6, 1, 1}), x}), "y");
     },
     1},
    {"SubMulAddThatNothingTakesUp",
     [](Net& net) {
       ValueId x = net.node("Sub", {net.input("x", {4, 6}), numbers(net, {6})});
       x = net.node("Div", {x, numbers(net, {6}, 0.5, 1)});
       net.output(net.node("Add", {x, numbers(net, {6})}), "y");
     },
     2},
    {"MulAddThatNothingTakesUp",
     [](Net& net) {
       const ValueId x = net.node("Mul", {net.input("x", {4, 6}), numbers(net, {6})});
       net.output(net.node("Add", {x, numbers(net, {6})}), "y");
     },
     2},
    {"NegOfAConvolution", [](Net& net) { net.output(net.node("Neg", {image(net)}), "y"); }},
    {"ScaleBackAndShiftForth",  // through Relu only a scale goes back, and only a scale goes into what pads
     [](Net& net) {
       const ValueId active = net.node("Relu", {image(net)});
       const ValueId scaled = scale(net, active, 6);
       net.output(net.node("Conv", {net.node("Add", {scaled, numbers(net, {6, 1, 1})}), numbers(net, {5, 6, 2, 2})}),
                  "y");
     }},
    {"EndOfAGelu",  // x gate(x) / 2, which runtimes run as one
     [](Net& net) {
       const ValueId x = net.input("x", {4, 6});
       const ValueId gate = net.node("Sigmoid", {x});
       const ValueId active = net.node("Mul", {net.node("Mul", {x, gate}), numbers(net, {})});
       net.output(net.node("Gemm", {active, numbers(net, {6, 5})}), "y");
     },
     1},
    {"EndOfALayerNormalization",
     [](Net& net) {
       const ValueId x = net.input("x", {4, 6});
       const ValueId ratio = net.node("Div", {x, net.node("Sigmoid", {x})});
       const ValueId scaled = net.node("Mul", {ratio, numbers(net, {6})});
       const ValueId shifted = net.node("Add", {scaled, numbers(net, {6})});
       net.output(net.node("Gemm", {shifted, numbers(net, {6, 5})}), "y");
     },
     2},
    {"SeveralConstantsOfOneConcat",
     [](Net& net) {
       const ValueId x = conv(net, net.input("x", {2, 3, 10, 11}), 3, 2);
       const ValueId all =
           net.node("Concat", {x, numbers(net, {2, 3, 8, 10}), numbers(net, {2, 1, 8, 10})}, {attribute("axis", 1)});
       net.output(norm(net, all, 6), "y");
     }},
    {"NegsThatNothingTakesUp",  // none of them has a constant to be named after
     [](Net& net) {
       const ValueId x = net.node("Neg", {net.input("x", {4, 6})});
       net.output(net.node("Neg", {net.node("Add", {x, numbers(net, {6})})}), "y");
     },
     1},
    {"NormThatJoinsWhileItsProducerChanges",
     [](Net& net) {
       const ValueId x = net.node("Add", {net.node("Neg", {net.input("x", {2, 3, 4})}), numbers(net, {4})});
       net.output(norm(net, net.node("MatMul", {x, numbers(net, {4, 5})}), 3), "y");
     },
     2},
    {"FullShapes",  // of a whole sample, along which nothing is the same
     [](Net& net) {
       const ValueId flat = net.node("Reshape", {net.input("x", {2, 3, 4}), integers(net, {2, 12})});
       const ValueId product = net.node("Gemm", {flat, numbers(net, {12, 20}), numbers(net, {20})});
       const ValueId shaped = net.node("Reshape", {product, integers(net, {2, 4, 5})});
       net.output(net.node("Add", {net.node("Mul", {shaped, numbers(net, {4, 5})}), numbers(net, {1, 4, 5})}), "y");
     }},
};
INSTANTIATE_TEST_SUITE_P(Chains, MoveAffine, testing::ValuesIn(kChains), case_name);

/// Only one of the nodes that say an affine has the name of one that went.
TEST(MoveAffine, WhoReadsAShapeAloneIsInNobodysWay) {
  Net net;
  const ValueId c = conv(net, net.input("x", {2, 3, 10, 11}), 3, 6);
  net.output(net.node("Shape", {c}), "before");
  const ValueId y = net.node("Transpose", {norm(net, c, 6)}, {ints("perm", {0, 2, 3, 1})});
  net.output(net.node("Size", {y}), "behind");
  net.output(net.node("Sigmoid", {y}), "y");
  const Optimized result = expect_folded(net, 1);
  Net forward;
  const ValueId n = norm(forward, forward.input("x", {2, 3, 10, 11}), 3);
  forward.output(forward.node("Shape", {n}), "between");
  forward.output(conv(forward, n, 3, 6), "y");
  (void)expect_folded(forward, 1);
}

TEST(MoveAffine, NamesOfNodesStayUnique) {
  Net net;
  ValueId x = net.node("Mul", {net.input("x", {4, 6}), numbers(net, {6})});
  x = net.node("Add", {x, numbers(net, {6})});
  net.output(net.node("Mul", {x, numbers(net, {6})}), "y");
  const ValueId before = net.batch_norm(net.input("z", {4, 6}), 6, "before");
  for (const char* name : {"a", "b"}) net.output(net.node("MatMul", {before, numbers(net, {6, 5})}), name);
  const Optimized result = optimize(net.model());
  std::set<std::string> names;
  for (const ir::NodeId id : result.model.graph.nodes()) {
    const std::string& name = result.model.graph.node(id).name;
    EXPECT_TRUE(name.empty() || names.insert(name).second) << name;
  }
  expect_equal_results(net.model(), result.model);
}

TEST(MoveAffine, OnlyTheFirstResultOfALayerNormalizationIsScaled) {
  Net net;
  const std::vector<ValueId> inputs{net.input("x", {2, 4, 6}), numbers(net, {6}), numbers(net, {6})};
  const ValueId first = net.node("LayerNormalization", inputs, {}, "norm", 2);
  net.output(first, "y");
  net.output(net.node("Mul", {net.graph().find("norm_1"), numbers(net, {})}), "mean");
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.count("Mul"), 1);
}

TEST(MoveAffine, TheMaskOfADropoutIsNotItsData) {
  Net net(9);
  (void)net.node("Dropout", {image(net)}, {}, "dropped", 2);
  net.output(net.node("Mul", {net.graph().find("dropped_1"), numbers(net, {})}), "mask");
  EXPECT_EQ(optimize(net.model()).count("Mul"), 1);
}

/// What float16 could not hold does not move there, unless it comes from there or goes there anyway.
TEST(MoveAffine, IntoTheRangeOfFloat16) {
  const auto net_of = [](bool narrow_again) {
    Net net;
    const ValueId x = net.input("x", {2, 3, 10, 11}, DataType::kFloat16);
    const ValueId half = net.node("Conv", {x, net.weight("w", {6, 3, 3, 2}, -1, 1, DataType::kFloat16)});
    const ValueId y = net.batch_norm(net.node("Cast", {half}, {attribute("to", 1)}), 6, "norm");
    net.output(narrow_again ? net.node("Cast", {y}, {attribute("to", 10)}) : net.node("Sigmoid", {y}), "y");
    return net;
  };
  const Optimized kept = expect_kept(net_of(false), "norm", "non_finite", "range of float16");
  const Optimized folded = optimize(net_of(true).model());
  EXPECT_TRUE(folded.fold("norm").folded);
  ASSERT_EQ(folded.report.notes.size(), 1u);
  EXPECT_NE(folded.report.notes[0].find("moved across a Cast"), std::string::npos) << folded.report.notes[0];
}

/// A small file must not ask for much: the same numbers are looked at again and again, each time more of them.
TEST(MoveAffine, WorkHasALimit) {
  Net net;
  ValueId value = net.node("Mul", {net.input("x", {2, 400000}), numbers(net, {400000})});
  for (int i = 0; i < 40; ++i) value = net.node("Transpose", {net.node("Relu", {value})}, {ints("perm", {1, 0})});
  net.output(value, "y");
  OptimizeOptions options;
  options.limits.folded_bytes = 1 << 10;
  const Optimized result = optimize(net.model(), options);
  ASSERT_EQ(result.report.affines.size(), 1u);
  EXPECT_FALSE(result.report.affines[0].folded);
}

TEST(MoveAffineReport, NamesAllThatTakeItUp) {
  Net net;
  const ValueId x = net.input("x", {2, 3, 10, 11});
  const ValueId a = net.node("Conv", {x, numbers(net, {6, 3, 3, 2})}, {}, "a");
  const ValueId b = net.node("Conv", {x, numbers(net, {6, 3, 3, 2})}, {}, "b");
  net.output(net.batch_norm(net.node("Add", {a, b}, {}, "sum"), 6, "y"));
  const Optimized result = expect_folded(net, 1);
  EXPECT_EQ(result.fold("y").into, "n_a, n_b");
  EXPECT_EQ(result.fold("y").how, "conv_absorbs_following");
  EXPECT_TRUE(result.model.graph.find("y"));
}

TEST(MoveAffineReport, SaysWhatStandsInTheWay) {
  Net net;
  const ValueId pooled = net.node("MaxPool", {image(net)}, {kKernel}, "pooled");
  net.output(net.batch_norm(pooled, 6, "y"));
  expect_kept(net, "y", "nonlinear_between", "MaxPool \"n_pooled\" stands between");
  expect_kept(net, "y", "nonlinear_between", "a scale is not above zero");
}

TEST(MoveAffine, SearchHasALimit) {
  ConvNet c;
  ValueId value = c.conv;
  for (int i = 0; i < 6; ++i) value = c.net.node("AveragePool", {value}, {ints("kernel_shape", {1, 2})});
  c.net.output(c.net.batch_norm(value, 5, "y"));
  OptimizeOptions options;
  options.limits.folded_path = 6;
  expect_kept(c.net, "y", "search_limit", "more than 6 nodes away", options);
  options.limits.folded_path = 7;
  EXPECT_TRUE(optimize(c.net.model(), options).fold("y").folded);
}

using Exact = std::vector<long double>;

/// The numbers that an initializer of the net holds.
Exact numbers_of(Net& net, const std::string& name) {
  const std::vector<double> numbers = to_doubles(*net.graph().constant_of(net.graph().find(name)));
  return {numbers.begin(), numbers.end()};
}

/// What a BatchNormalization scales its channels by.
Exact factors_of(Net& net, const std::string& norm) {
  Exact factor = numbers_of(net, norm + ".scale");
  const Exact variance = numbers_of(net, norm + ".var");
  for (size_t i = 0; i < factor.size(); ++i) factor[i] /= std::sqrt(variance[i] + static_cast<long double>(1e-5f));
  return factor;
}

/// How many numbers of a folded weight are not those, rounded once: further from them than half a unit in the last
/// place, and what double arithmetic adds to that where a number lies between two floats.
int64_t count_wrong(const Tensor& folded, const std::function<long double(size_t i)>& exact) {
  int64_t wrong = 0;
  for (size_t i = 0; i < folded.size(); ++i) {
    const float number = folded.data<float>()[i];
    const long double unit = std::nextafter(std::abs(number), HUGE_VALF) - std::abs(number);
    wrong += std::abs(number - exact(i)) > unit * (0.5L + 0x1p-20L);
  }
  return wrong;
}

/// The channels of small weights, and of such that their originals are let go of as soon as nothing is left for them.
constexpr int64_t kChannels[] = {6, 84};

/// The oracle takes its time: what large weights compute is left to the small ones to show.
Optimized folded_of(const Net& net, size_t batch_norms) {
  const ir::Model model = net.model();
  if (model.graph.type(model.graph.inputs()[0]).dims->at(1) == ir::Dim(kChannels[0]))
    return expect_folded(net, batch_norms);
  return optimize(model);
}

/// However many folds a weight takes up, from either side, it is rounded once.
TEST(MoveAffine, WeightsAreRoundedOnce) {
  for (const int64_t c : kChannels) {
    Net net;
    const auto channels = static_cast<size_t>(c);
    const ValueId before = net.batch_norm(net.input("x", {2, c, 8, 10}), c, "before");
    const ValueId linear =
        net.node("Conv", {before, net.weight("w", {35, c, 3, 2}), net.weight("b", {35})}, {}, "linear");
    const ValueId scaled = net.node("Mul", {linear, net.weight("k", {35, 1, 1})}, {}, "scaled");
    net.output(net.batch_norm(scaled, 35, "y"));
    const Optimized result = folded_of(net, 2);
    const Exact in = factors_of(net, "before"), out = factors_of(net, "y"), k = numbers_of(net, "k"),
                w = numbers_of(net, "w");
    const auto exact = [&](size_t i) {
      const size_t filter = i / 6 / channels;
      return w[i] * in[i / 6 % channels] * (out[filter] * k[filter]);
    };
    EXPECT_EQ(count_wrong(result.constant("w"), exact), 0);
  }
}

/// The second fold is one of a later pass.
TEST(MoveAffine, WeightsAreRoundedOnceByAllPasses) {
  for (const int64_t c : kChannels) {
    Net net;
    const ValueId linear = net.node("Conv", {net.input("x", {2, c, 8, 10}), net.weight("w", {35, c, 3, 2})});
    const ValueId norm = net.batch_norm(linear, 35, "norm");
    const ValueId relu = net.node("Relu", {norm});
    const ValueId half = net.node("Mul", {relu, net.weight("k", {35, 1, 1}, 0.5, 2)}, {}, "half");
    net.output(net.node("Relu", {half}), "y");
    const Optimized result = folded_of(net, 1);
    EXPECT_EQ(result.count("Mul"), 0);
    const Exact factor = factors_of(net, "norm"), k = numbers_of(net, "k"), w = numbers_of(net, "w");
    const auto exact = [&](size_t i) {
      const size_t filter = i / 6 / static_cast<size_t>(c);
      return w[i] * (factor[filter] * k[filter]);
    };
    EXPECT_EQ(count_wrong(result.constant("w"), exact), 0);
  }
}

/// So is the sum of convolutions that took something up before.
TEST(MoveAffine, SumsOfWeightsAreRoundedOnce) {
  for (const int64_t c : kChannels) {
    Net net;
    const ValueId x = net.input("x", {2, c, 8, 10});
    const auto branch = [&](const std::string& name) {
      return net.batch_norm(net.node("Conv", {x, net.weight("w" + name, {35, c, 3, 2})}), 35, "norm" + name);
    };
    const ValueId first = branch("1"), second = branch("2");
    net.output(net.node("Add", {first, second}, {}, "y"));
    const Optimized result = folded_of(net, 2);
    EXPECT_EQ(result.count("Conv"), 1);
    const Exact f1 = factors_of(net, "norm1"), f2 = factors_of(net, "norm2"), w1 = numbers_of(net, "w1"),
                w2 = numbers_of(net, "w2");
    const auto exact = [&](size_t i) {
      const size_t filter = i / 6 / static_cast<size_t>(c);
      return w1[i] * f1[filter] + w2[i] * f2[filter];
    };
    EXPECT_EQ(count_wrong(result.constant("w1"), exact), 0);
  }
}

/// x + Relu(norm(conv(Relu(norm(conv(x)))))), again and again: the pass lets go of all originals with the last norm,
/// not when it ends.
TEST(MoveAffine, OriginalsGoWithTheLastFoldIntoThem) {
  constexpr int64_t kC = 84, kConvs = 6;
  std::weak_ptr<const void> last_scale;  // is there until the pass ends
  int gone = 0;
  const auto watched = [&](const Tensor& tensor, const std::function<void()>& at_end) {
    const std::shared_ptr<const Tensor> owner(new Tensor(tensor), [at_end](const Tensor* p) {
      at_end();
      delete p;
    });
    return Tensor::adopt(tensor.dtype(), Shape(tensor.shape().begin(), tensor.shape().end()), owner,
                         owner->bytes().data(), owner->bytes().size());
  };
  const auto build = [&] {
    Net net;
    ValueId x = net.input("x", {1, kC, 5, 6}), block = x;
    for (int64_t i = 0; i < kConvs; ++i) {
      const std::string name = std::to_string(i);
      const Tensor weight = watched(net.random({kC, kC, 3, 3}), [&] { gone += last_scale.expired() ? 0 : 1; });
      const ValueId conv = net.node("Conv", {x, net.constant("weight" + name, weight)}, {ints("pads", {1, 1, 1, 1})});
      const auto scale = std::make_shared<const Tensor>(net.random({kC}));
      last_scale = scale;
      const ValueId s = net.constant(
          "s" + name, Tensor::adopt(DataType::kFloat32, {kC}, scale, scale->bytes().data(), scale->bytes().size()));
      const ValueId norm = net.node("BatchNormalization",
                                    {conv, s, net.weight("bias" + name, {kC}), net.weight("mean" + name, {kC}),
                                     net.weight("var" + name, {kC}, 0.5, 1)},
                                    {}, "norm" + name);
      const ValueId relu = net.node("Relu", {norm});
      x = i % 2 == 0 ? relu : block = net.node("Add", {block, relu});
    }
    net.output(net.node("Relu", {x}), "y");
    return net.model();
  };
  ir::Model model = build();
  ASSERT_FALSE(last_scale.expired());
  (void)passes::run(model, {}, passes::Purpose::kWriting);
  EXPECT_TRUE(last_scale.expired());
  EXPECT_EQ(gone, kConvs);
}

/// A shift of as many numbers as rows and columns together must not become as many as their product.
TEST(MoveAffine, NothingGrowsBeyondTheLimits) {
  Net net;
  const ValueId product = net.node("MatMul", {net.input("x", {1, 600, 2}), numbers(net, {2, 500})});
  const ValueId sum = net.node("Add", {product, numbers(net, {600, 1})});
  net.output(net.node("Mul", {sum, numbers(net, {500})}, {}, "y"));
  OptimizeOptions options;
  options.limits.folded_bytes = 8 * 600 * 500 - 8;
  expect_kept(net, "y", "too_large", "would be too large", options);
  options.limits.folded_bytes += 8;
  EXPECT_TRUE(optimize(net.model(), options).fold("y").folded);
}

TEST(MoveAffine, StatisticsOfWholeSamplesGoIntoAGemm) {  // before opset 9
  Net net(7);
  std::vector<ValueId> inputs{net.input("x", {2, 3, 4, 5})};
  for (const char* name : {"s", "b", "m"}) inputs.push_back(net.weight(name, {3, 4, 5}));
  inputs.push_back(net.weight("v", {3, 4, 5}, 0.5, 1));
  const ValueId norm = net.node("BatchNormalization", inputs, {attribute("spatial", 0)}, "norm");
  const ValueId flat = net.node("Flatten", {norm});
  net.output(net.node("Gemm", {flat, net.weight("w", {60, 7}), net.weight("c", {7})}), "y");
  const Optimized result = optimize(net.model());
  EXPECT_TRUE(result.fold("norm").folded) << result.fold("norm").reason;
  EXPECT_EQ(result.fold("norm").how, "gemm_absorbs_preceding");
}

}  // namespace
}  // namespace pli::test
