#include "tests/passes/reference.h"

#include <gtest/gtest.h>

#include <functional>

namespace pli::test {
namespace {

using ir::ValueId;

constexpr int64_t kChannels = 6;

struct Branches {
  Net net;
  ValueId x = net.input("x", {2, kChannels, 8, 9});

  ValueId conv(Shape weight, std::vector<ir::Attribute> attributes, bool bias = true) {
    const std::string name = "w" + std::to_string(++count_);
    std::vector<ValueId> inputs{x, net.weight(name, weight)};
    if (bias) inputs.push_back(net.weight(name + "_bias", {weight[0]}));
    return net.node("Conv", inputs, std::move(attributes));
  }
  ValueId norm(ValueId value) { return net.batch_norm(value, kChannels, "norm" + std::to_string(++count_)); }

  Optimized expect_convolutions(ValueId sum, int64_t convolutions, size_t nodes) {
    net.output(sum, "y");
    Optimized result = optimize(net.model());
    EXPECT_EQ(result.count("Conv"), convolutions) << ir::dump(result.model.graph);
    EXPECT_EQ(result.model.graph.node_count(), nodes) << ir::dump(result.model.graph);
    expect_equal_results(net.model(), result.model, 2e-6);
    return result;
  }

 private:
  int count_ = 0;
};

const ir::Attribute kPads = ints("pads", {1, 1, 1, 1});

/// A block of RepVGG as it is trained: a kernel of 3x3, one of 1x1 and none, each with its BatchNormalization.
TEST(MergeParallelConvolutions, RepVgg) {
  for (const int64_t group : {1, 2, 6}) {
    Branches b;
    const ir::Attribute groups = attribute("group", group);
    const ValueId wide = b.norm(b.conv({kChannels, kChannels / group, 3, 3}, {kPads, groups}, false));
    const ValueId point = b.norm(b.conv({kChannels, kChannels / group, 1, 1}, {groups}, false));
    const ValueId both = b.net.node("Add", {wide, point});
    const Optimized result = b.expect_convolutions(b.net.node("Add", {both, b.norm(b.x)}), 1, 1);
    ASSERT_EQ(result.report.batch_norms.size(), 3u);
    for (const Fold& fold : result.report.batch_norms) EXPECT_TRUE(fold.folded) << fold.reason;
    EXPECT_EQ(result.report.batch_norms[2].how, "conv_absorbs_parallel");
  }
}

/// A block of FastViT as it is trained, x + k (mixed(x) - norm(x)), and the other way round.
TEST(MergeParallelConvolutions, Differences) {
  for (const bool mixed_first : {true, false}) {
    Branches b;
    const ir::Attribute each = attribute("group", kChannels);
    const ValueId wide = b.norm(b.conv({kChannels, 1, 3, 3}, {kPads, each}, false));
    const ValueId point = b.norm(b.conv({kChannels, 1, 1, 1}, {each}, false));
    const ValueId mixed = b.net.node("Add", {b.net.node("Add", {wide, point}), b.norm(b.x)});
    const ValueId norm = b.norm(b.x);
    const ValueId difference = b.net.node("Sub", {mixed_first ? mixed : norm, mixed_first ? norm : mixed});
    const ValueId scaled = b.net.node("Mul", {b.net.weight("k", {kChannels, 1, 1}), difference});
    const Optimized result = b.expect_convolutions(b.net.node("Add", {b.x, scaled}), 1, 1);
    for (const Fold& fold : result.report.batch_norms) EXPECT_TRUE(fold.folded) << fold.reason;
  }
}

TEST(MergeParallelConvolutions, WithStrides) {
  Branches b;
  const ir::Attribute strides = ints("strides", {2, 2});
  const ValueId wide = b.conv({5, kChannels, 3, 3}, {kPads, strides});
  const ValueId point = b.conv({5, kChannels, 1, 1}, {strides}, false);
  b.expect_convolutions(b.net.node("Add", {point, wide}), 1, 1);
}

TEST(MergeParallelConvolutions, AsymmetricKernels) {  // ACNet
  Branches b;
  const ValueId square = b.conv({5, kChannels, 3, 3}, {kPads});
  const ValueId row = b.conv({5, kChannels, 1, 3}, {ints("pads", {0, 1, 0, 1})});
  const ValueId column = b.conv({5, kChannels, 3, 1}, {ints("pads", {1, 0, 1, 0})}, false);
  b.expect_convolutions(b.net.node("Add", {b.net.node("Add", {square, row}), column}), 1, 1);
}

TEST(MergeParallelConvolutions, DilatedInALargerOne) {
  Branches b;
  const ValueId large = b.conv({5, kChannels, 5, 5}, {ints("pads", {2, 2, 2, 2})});
  const ValueId dilated = b.conv({5, kChannels, 3, 3}, {ints("pads", {2, 2, 2, 2}), ints("dilations", {2, 2})});
  b.expect_convolutions(b.net.node("Add", {large, dilated}), 1, 1);
}

TEST(MergeParallelConvolutions, AResidualThatIsTheInput) {
  Branches b;
  b.expect_convolutions(b.net.node("Add", {b.conv({kChannels, kChannels, 3, 3}, {kPads}), b.x}), 1, 1);
}

TEST(MergeParallelConvolutions, WhatDoesNotFitStays) {
  const std::vector<std::function<ValueId(Branches&)>> others{
      [](Branches& b) {  // looks one pixel further
        return b.conv({kChannels, kChannels, 1, 1}, {ints("pads", {0, 0, 0, 0})});
      },
      [](Branches& b) {  // of another group
        return b.conv({kChannels, 3, 3, 3}, {kPads, attribute("group", 2)});
      },
      [](Branches& b) {  // of another image
        return b.net.node(
            "Conv", {b.net.input("z", {2, kChannels, 8, 9}), b.net.weight("v", {kChannels, kChannels, 3, 3})}, {kPads});
      },
      [](Branches& b) {  // somebody else reads it
        const ValueId point = b.conv({kChannels, kChannels, 1, 1}, {});
        b.net.output(b.net.node("Relu", {point}), "other");
        return point;
      },
  };
  for (size_t i = 0; i < others.size(); ++i) {
    SCOPED_TRACE(i);
    Branches b;
    const ir::Attribute pads = i == 0 ? ints("pads", {2, 1, 0, 1}) : kPads;
    const ValueId wide = b.conv({kChannels, kChannels, 3, 3}, {pads});
    const int64_t left = i == 0 ? 1 : 2;
    b.net.output(b.net.node("Add", {wide, others[i](b)}), "y");
    const Optimized result = optimize(b.net.model());
    EXPECT_EQ(result.count("Conv"), left) << ir::dump(result.model.graph);
    expect_equal_results(b.net.model(), result.model, 2e-6);
  }
}

/// Of an input whose channels are not known, weights say different things about them.
TEST(MergeParallelConvolutions, WeightsForDifferentInputsStay) {
  Net net;
  const ValueId x = net.graph().add_input("x", ir::Type::tensor(DataType::kFloat32, ir::Dims{1, ir::Dim(), 6, 6}));
  const ValueId few = net.node("Conv", {x, net.weight("few", {8, 2, 3, 3})}, {kPads});
  const ValueId many = net.node("Conv", {x, net.weight("many", {8, 5, 3, 3})}, {kPads});
  net.output(net.node("Add", {few, many}), "y");
  EXPECT_EQ(optimize(net.model()).count("Conv"), 2);
  const ValueId wide = net.node("Conv", {x, net.weight("wide", {8, 8, 3, 3})}, {kPads});
  net.output(net.node("Add", {wide, net.batch_norm(x, 3, "norm")}), "z");
  EXPECT_EQ(optimize(net.model()).count("BatchNormalization"), 1);
}

TEST(MergeParallelConvolutions, ABroadcastResidualStays) {
  Branches b;
  const ValueId one = b.conv({kChannels, kChannels, 8, 9}, {});  // [2, 6, 1, 1]
  b.expect_convolutions(b.net.node("Add", {one, b.x}), 1, 2);
}

}  // namespace
}  // namespace pli::test
