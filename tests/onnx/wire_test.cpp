#include "runtime/onnx/graph_writer.h"
#include "tests/onnx/protos.h"

namespace pli::test {

namespace {

TEST(Wire, PutsMessagesTogetherAsProtobufDoes) {
  onnx::ModelProto model;
  model.set_producer_name("p");
  onnx::TensorProto& small = *model.mutable_graph()->add_initializer();
  small.set_name("small");
  small.set_raw_data("1234");
  onnx::TensorProto& large = *model.mutable_graph()->add_initializer();
  large.set_name("large");
  large.set_raw_data(std::string(100000, 'x'));

  const auto tensor = [](const std::string& name, const std::string& payload) {
    onnx::TensorProto head;
    head.set_name(name);
    Wire wire;
    wire.append(head.SerializeAsString());
    wire.append_payload(onnx::TensorProto::kRawDataFieldNumber, std::as_bytes(std::span(payload)));
    return wire;
  };
  Wire graph;
  graph.append_message(onnx::GraphProto::kInitializerFieldNumber, tensor("small", small.raw_data()));
  graph.append_message(onnx::GraphProto::kInitializerFieldNumber, tensor("large", large.raw_data()));
  Wire wire;
  wire.append_message(onnx::ModelProto::kGraphFieldNumber, std::move(graph));
  onnx::ModelProto tail;
  tail.set_producer_name("p");
  wire.append(tail.SerializeAsString());

  const std::string bytes = wire.join();
  EXPECT_EQ(wire.size(), static_cast<int64_t>(bytes.size()));
  onnx::ModelProto result;
  ASSERT_TRUE(result.ParseFromString(bytes));
  EXPECT_EQ(result.SerializeAsString(), model.SerializeAsString());
}

TEST(Wire, AnEmptyMessageIsAField) {
  Wire wire;
  wire.append_message(onnx::ModelProto::kGraphFieldNumber, Wire());
  onnx::ModelProto model;
  ASSERT_TRUE(model.ParseFromString(wire.join()));
  EXPECT_TRUE(model.has_graph());
}

/// 80 tensors of 64 MiB that overlap in memory, each an element behind the one before: more than one file holds.
TEST(WriteGraph, LaysOutMoreThan4GiB) {
  ir::Graph graph(std::make_shared<ir::OpsetImports>(ir::OpsetImports{{"", 15}}));
  const auto memory = std::make_shared<const std::vector<float>>((64 << 18) + 80);
  for (size_t i = 0; i < 80; ++i)
    graph.add_initializer(fmt::format("w{}", i), Tensor::adopt(DataType::kFloat32, {64, 1 << 18}, memory,
                                                               memory->data() + i, size_t{64} << 20));
  EXPECT_GT(write_graph(graph, nullptr).size(), int64_t{80} * 64 << 20);
  ExternalFile data{.location = "w.data"};
  const Wire wire = write_graph(graph, &data);
  EXPECT_LT(wire.size(), 10000);
  ASSERT_EQ(data.parts.size(), 80u);
  EXPECT_EQ(data.parts[79].offset, int64_t{79} * 64 << 20);
  EXPECT_EQ(data.size, int64_t{80} * 64 << 20);
  onnx::GraphProto proto;
  ASSERT_TRUE(proto.ParseFromString(wire.join()));
  EXPECT_EQ(proto.initializer(79).external_data(1).value(), std::to_string(int64_t{79} * 64 << 20));
}

TEST(WriteGraph, AttributesGoToTheSecondFileOnlyWhenAsked) {
  ir::Graph graph(std::make_shared<ir::OpsetImports>(ir::OpsetImports{{"", 15}}));
  const Tensor part(DataType::kFloat32, {1024});
  graph.add_node({.op_type = "Constant",
                  .outputs = {{.name = "c"}},
                  .attributes = {{.name = "value", .value = part, .extra = {}}}});
  ExternalFile initializers{.location = "w.data"};
  EXPECT_GT(write_graph(graph, &initializers).size(), 4096);
  EXPECT_TRUE(initializers.parts.empty());
  ExternalFile all{.location = "w.data", .attributes = true};
  EXPECT_LT(write_graph(graph, &all).size(), 1000);
  EXPECT_EQ(all.parts.size(), 1u);
}

}  // namespace

}  // namespace pli::test
