#include "runtime/onnx/load.h"
#include "runtime/onnx/save.h"
#include "tests/onnx/protos.h"
#include "tests/temporary_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <numeric>

namespace pli::test {

namespace {

using onnx::TensorProto;

void put_entry(TensorProto& tensor, const std::string& key, const std::string& value) {
  auto& entry = *tensor.add_external_data();
  entry.set_key(key);
  entry.set_value(value);
}

/// Makes the payload of `tensor` external: `length` bytes at `offset` of `location`.
void make_external(TensorProto& tensor, const std::string& location, const std::string& offset,
                   const std::string& length) {
  tensor.clear_raw_data();
  tensor.set_data_location(TensorProto::EXTERNAL);
  put_entry(tensor, "location", location);
  if (!offset.empty()) put_entry(tensor, "offset", offset);
  if (!length.empty()) put_entry(tensor, "length", length);
}

std::vector<float> ramp(size_t count, float first) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

std::string bytes_of(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

/// The small model, with weights of 8 KiB and 400 KiB beside the one of 24 bytes.
onnx::ModelProto large_model(float first = 0) {
  onnx::ModelProto model = small_model();
  *model.mutable_graph()->add_initializer() = floats("middle", {2048}, ramp(2048, first));
  *model.mutable_graph()->add_initializer() = floats("large", {100, 1024}, ramp(102400, first + 1));
  return model;
}

void save(const onnx::ModelProto& proto, const std::filesystem::path& path,
          ExternalData external = ExternalData::kAuto) {
  save_model(parse(proto), path, external);
}

onnx::ModelProto read_proto(const std::filesystem::path& path) {
  onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromString(read_file(path)));
  return proto;
}

std::string entry_of(const TensorProto& tensor, const std::string& key) {
  for (const auto& entry : tensor.external_data())
    if (entry.key() == key) return entry.value();
  return {};
}

// --- what is written -------------------------------------------------------------------------------------------------

TEST(TwoFiles, WeightsOf1KiBAndMoreGoToTheSecond) {
  const TemporaryFolder folder;
  save(large_model(), folder / "m.onnx", ExternalData::kAlways);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"m.onnx", "m.onnx.data"}));
  const onnx::ModelProto saved = read_proto(folder / "m.onnx");
  const auto& weights = saved.graph().initializer();
  ASSERT_EQ(weights.size(), 3);
  EXPECT_TRUE(weights[0].has_raw_data());
  const std::string data = read_file(folder / "m.onnx.data");
  for (const int i : {1, 2}) {
    EXPECT_EQ(weights[i].data_location(), TensorProto::EXTERNAL);
    EXPECT_EQ(entry_of(weights[i], "location"), "m.onnx.data");
    const size_t offset = std::stoul(entry_of(weights[i], "offset"));
    EXPECT_EQ(offset % (i == 1 ? 64 : 4096), 0u);
    EXPECT_EQ(data.substr(offset, std::stoul(entry_of(weights[i], "length"))),
              large_model().graph().initializer(i).raw_data());
  }
  EXPECT_TRUE(same_meaning(large_model(), to_proto(load_model(folder / "m.onnx", {}))));
}

TEST(TwoFiles, StayTwoFilesAndOneStaysOne) {
  const TemporaryFolder folder;
  save(large_model(), folder / "two.onnx", ExternalData::kAlways);
  const ir::Model two = load_model(folder / "two.onnx", {});
  EXPECT_TRUE(two.has_external_data);
  save_model(two, folder / "again.onnx", ExternalData::kAuto);
  save_model(two, folder / "one.onnx", ExternalData::kNever);
  const ir::Model one = load_model(folder / "one.onnx", {});
  EXPECT_FALSE(one.has_external_data);
  save_model(one, folder / "same.onnx", ExternalData::kAuto);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"again.onnx", "again.onnx.data", "one.onnx", "same.onnx",
                                                      "two.onnx", "two.onnx.data"}));
  EXPECT_EQ(read_file(folder / "again.onnx.data"), read_file(folder / "two.onnx.data"));
  EXPECT_EQ(read_file(folder / "one.onnx"), read_file(folder / "same.onnx"));
  EXPECT_TRUE(same_meaning(large_model(), read_proto(folder / "one.onnx")));
}

TEST(TwoFiles, ThereIsNoSecondFileForSmallWeights) {
  const TemporaryFolder folder;
  save(small_model(), folder / "m.onnx", ExternalData::kAlways);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"m.onnx"});
}

TEST(TwoFiles, TheSameModelGivesTheSameBytes) {
  const TemporaryFolder a;
  const TemporaryFolder b;
  for (const auto* folder : {&a, &b}) save(large_model(), *folder / "m.onnx", ExternalData::kAlways);
  for (const char* name : {"m.onnx", "m.onnx.data"}) EXPECT_EQ(read_file(a / name), read_file(b / name));
}

// --- over what lies there already ------------------------------------------------------------------------------------

TEST(TwoFiles, AModelCanBeSavedOverItself) {
  const TemporaryFolder folder;
  save(large_model(), folder / "m.onnx", ExternalData::kAlways);
  for (int round = 0; round < 3; ++round) {
    save_model(load_model(folder / "m.onnx", {}), folder / "m.onnx", ExternalData::kAuto);
    EXPECT_EQ(folder.names().size(), 2u);  // the data that is superseded is gone
    EXPECT_TRUE(same_meaning(large_model(), to_proto(load_model(folder / "m.onnx", {}))));
  }
}

TEST(TwoFiles, AFileThatOthersMayUseIsNeverTouched) {
  const TemporaryFolder folder;
  write_file(folder / "m.onnx.data", "somebody else's");
  save(large_model(), folder / "m.onnx", ExternalData::kAlways);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"m.onnx", "m.onnx.1.data", "m.onnx.data"}));
  save(large_model(5), folder / "m.onnx", ExternalData::kAlways);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"m.onnx", "m.onnx.2.data", "m.onnx.data"}));
  EXPECT_EQ(read_file(folder / "m.onnx.data"), "somebody else's");
  EXPECT_TRUE(same_meaning(large_model(5), to_proto(load_model(folder / "m.onnx", {}))));
}

TEST(TwoFiles, AReplacedModelCanNotHaveOtherFilesRemoved) {
  const TemporaryFolder folder;
  for (const char* name : {"weights.bin", "other.onnx.data", "m.onnx.x.data", "m.onnx..data"}) {
    onnx::ModelProto model = small_model();
    write_file(folder / name, model.graph().initializer(0).raw_data());
    make_external(*model.mutable_graph()->mutable_initializer(0), name, "", "");
    write_file(folder / "m.onnx", model.SerializeAsString());
    save(small_model(), folder / "m.onnx");
    EXPECT_TRUE(std::filesystem::exists(folder / name));
  }
}

TEST(TwoFiles, ASecondFileIsKnownHoweverItsPlaceIsWritten) {
  const TemporaryFolder folder;
  for (const char* location : {"./m.onnx.data", ".//./m.onnx.data"}) {
    onnx::ModelProto model = small_model();
    write_file(folder / "m.onnx.data", model.graph().initializer(0).raw_data());
    make_external(*model.mutable_graph()->mutable_initializer(0), location, "", "");
    write_file(folder / "m.onnx", model.SerializeAsString());
    save(small_model(), folder / "m.onnx");
    EXPECT_EQ(folder.names(), std::vector<std::string>{"m.onnx"});
  }
}

TEST(TwoFiles, OneFileOverTwoRemovesTheSecond) {
  const TemporaryFolder folder;
  save(large_model(), folder / "m.onnx", ExternalData::kAlways);
  save(large_model(), folder / "m.onnx", ExternalData::kNever);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"m.onnx"});
}

// --- one funnel for every tensor -------------------------------------------------------------------------------------

/// Models with one external tensor of 8 bytes each, wherever a tensor can be.
std::vector<std::pair<std::string, onnx::ModelProto>> models_with_external(const std::string& location) {
  TensorProto tensor = floats("hidden", {2}, {1, 2});
  make_external(tensor, location, "", "8");
  std::vector<std::pair<std::string, onnx::ModelProto>> models;
  const auto add = [&](const std::string& where) -> onnx::ModelProto& {
    models.emplace_back(where, small_model());
    return models.back().second;
  };
  const auto add_attribute = [](onnx::NodeProto& to,
                                onnx::AttributeProto::AttributeType type) -> onnx::AttributeProto& {
    onnx::AttributeProto& attribute = *to.add_attribute();
    attribute.set_name("value");
    attribute.set_type(type);
    return attribute;
  };
  onnx::GraphProto nested;
  *nested.add_initializer() = tensor;
  *nested.add_output() = declare("hidden", 1, {2});
  onnx::SparseTensorProto sparse;
  *sparse.mutable_values() = tensor;

  *add("initializer").mutable_graph()->add_initializer() = tensor;
  *add("sparse initializer").mutable_graph()->add_sparse_initializer() = sparse;
  *add_attribute(*add("tensor").mutable_graph()->mutable_node(0), onnx::AttributeProto::TENSOR).mutable_t() = tensor;
  *add_attribute(*add("tensors").mutable_graph()->mutable_node(0), onnx::AttributeProto::TENSORS).add_tensors() =
      tensor;
  *add_attribute(*add("sparse tensor").mutable_graph()->mutable_node(0), onnx::AttributeProto::SPARSE_TENSOR)
       .mutable_sparse_tensor() = sparse;
  *add_attribute(*add("sparse tensors").mutable_graph()->mutable_node(0), onnx::AttributeProto::SPARSE_TENSORS)
       .add_sparse_tensors() = sparse;
  *add_attribute(*add("graph").mutable_graph()->mutable_node(0), onnx::AttributeProto::GRAPH).mutable_g() = nested;
  *add_attribute(*add("graphs").mutable_graph()->mutable_node(0), onnx::AttributeProto::GRAPHS).add_graphs() = nested;
  onnx::FunctionProto& function = *add("function").add_functions();
  function.set_name("f");
  function.set_domain("custom");
  *add_attribute(*function.add_node() = node("Constant", {}, {"c"}), onnx::AttributeProto::TENSOR).mutable_t() = tensor;
  *add("training graph").add_training_info()->mutable_algorithm()->add_initializer() = tensor;
  *add("training start").add_training_info()->mutable_initialization()->add_initializer() = tensor;
  return models;
}

TEST(ExternalTensors, AreBroughtInWhereverTheyAre) {
  const TemporaryFolder folder;
  write_file(folder / "weights.bin", bytes_of({1, 2}));
  for (const auto& [where, model] : models_with_external("weights.bin")) {
    SCOPED_TRACE(where);
    write_file(folder / "m.onnx", model.SerializeAsString());
    const ir::Model loaded = load_model(folder / "m.onnx", {});
    EXPECT_TRUE(loaded.has_external_data);
    const std::string saved = serialize_model(loaded);
    EXPECT_EQ(saved.find("weights.bin"), std::string::npos);
    EXPECT_NE(saved.find(bytes_of({1, 2})), std::string::npos);
    EXPECT_NE(saved.find("hidden"), std::string::npos);
  }
}

TEST(ExternalTensors, CanNotReachOutFromWhereverTheyAre) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "in");
  write_file(folder / "secret", bytes_of({1, 2}));
  for (const auto& [where, model] : models_with_external("../secret")) {
    SCOPED_TRACE(where);
    write_file(folder / "in/m.onnx", model.SerializeAsString());
    EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "leaves the model's folder",
                           [&] { load_model(folder / "in/m.onnx", {}); }));
    EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "read from memory", [&, &bad = model] { parse(bad); }));
  }
}

TEST(ExternalTensors, MayLieInFoldersBelowAndShareAFile) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "a/b");
  write_file(folder / "a/b/w", "...." + bytes_of({1, 2, 3, 4}));
  onnx::ModelProto model = small_model();
  for (const char* name : {"p", "q"}) *model.mutable_graph()->add_initializer() = floats(name, {2}, {});
  make_external(*model.mutable_graph()->mutable_initializer(1), "a/b/w", "4", "8");
  make_external(*model.mutable_graph()->mutable_initializer(2), "./a//b/./w", "12", "");
  put_entry(*model.mutable_graph()->mutable_initializer(2), "checksum", "0123");
  put_entry(*model.mutable_graph()->mutable_initializer(2), "something new", "?");
  write_file(folder / "m.onnx", model.SerializeAsString());
  const ir::Model loaded = load_model(folder / "m.onnx", {});
  EXPECT_EQ(loaded.graph.constant_of(loaded.graph.find("p"))->data<float>()[1], 2);
  EXPECT_EQ(loaded.graph.constant_of(loaded.graph.find("q"))->data<float>()[1], 4);
}

TEST(ExternalTensors, ThoseWithTheSameBytesShareThem) {
  const TemporaryFolder folder;
  constexpr int64_t kFloats = 1 << 18;
  write_file(folder / "w", bytes_of(ramp(kFloats, 0)));
  onnx::ModelProto model = small_model();
  onnx::GraphProto nested;
  for (int i = 0; i < 1000; ++i) {
    TensorProto tensor = floats(fmt::format("t{}", i), {kFloats}, {});
    make_external(tensor, i % 2 == 0 ? "w" : "./w", i % 3 == 0 ? "0" : "", "");
    if (i < 998) {
      *model.mutable_graph()->add_initializer() = tensor;
    } else if (i == 998) {
      *nested.add_initializer() = tensor;
    } else {
      auto& attribute = *model.mutable_graph()->mutable_node(0)->add_attribute();
      attribute.set_name("value");
      attribute.set_type(onnx::AttributeProto::TENSOR);
      *attribute.mutable_t() = tensor;
    }
  }
  *model.mutable_graph()->mutable_node(0)->add_attribute() = graph_attribute("body", nested);
  write_file(folder / "m.onnx", model.SerializeAsString());
  const ir::Model loaded = load_model(folder / "m.onnx", {});
  const Tensor& first = *loaded.graph.constant_of(loaded.graph.find("t0"));
  EXPECT_EQ(first.data<float>()[7], 7);
  for (int i = 1; i < 998; ++i)
    ASSERT_EQ(loaded.graph.constant_of(loaded.graph.find(fmt::format("t{}", i)))->bytes().data(), first.bytes().data());
  const ir::Node& node = loaded.graph.node(loaded.graph.nodes().front());
  EXPECT_EQ(std::get<Tensor>(node.attribute("value")->value).bytes().data(), first.bytes().data());
  const auto& body = *std::get<ir::Subgraph>(node.attribute("body")->value).graph;
  EXPECT_EQ(body.constant_of(body.find("t998"))->bytes().data(), first.bytes().data());

  // What is shared in memory is written once.
  save_model(loaded, folder / "copy.onnx", ExternalData::kAlways);
  EXPECT_EQ(std::filesystem::file_size(folder / "copy.onnx.data"), static_cast<size_t>(kFloats) * sizeof(float));
  const ir::Model copy = load_model(folder / "copy.onnx", {});
  EXPECT_TRUE(identical(*copy.graph.constant_of(copy.graph.find("t997")), first));
}

/// Files in turn, some of them large, beside large tensors in the model itself.
TEST(ExternalTensors, MayTakeTurnsBetweenFiles) {
  const TemporaryFolder folder;
  constexpr int64_t kFloats = 300'007;
  write_file(folder / "v", "." + bytes_of(ramp(2 * kFloats, 0)));
  write_file(folder / "w", bytes_of(ramp(2 * kFloats, 1)));
  onnx::ModelProto model = small_model();
  for (int i = 0; i < 6; ++i) {
    TensorProto& tensor = *model.mutable_graph()->add_initializer() = floats(fmt::format("t{}", i), {kFloats}, {});
    if (i == 3)
      tensor.set_raw_data(bytes_of(ramp(kFloats, 3)));
    else if (i % 2 == 0)
      make_external(tensor, "v", std::to_string(1 + i / 2 * 4), "");
    else
      make_external(tensor, "w", std::to_string(i / 2 * 8), "");
  }
  TensorProto& none = *model.mutable_graph()->add_initializer() = floats("none", {0, 3}, {});
  make_external(none, "v", "7", "");
  write_file(folder / "m.onnx", model.SerializeAsString());
  const ir::Model loaded = load_model(folder / "m.onnx", {});
  const auto elements = [&](const std::string& name) {
    return loaded.graph.constant_of(loaded.graph.find(name))->data<float>();
  };
  for (int i = 0; i < 6; ++i) {
    const auto found = elements(fmt::format("t{}", i));
    const int first = i == 3 ? 3 : i % 2 == 0 ? i / 2 : 1 + i / 2 * 2;
    EXPECT_TRUE(std::ranges::equal(found, ramp(kFloats, static_cast<float>(first)))) << i;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(found.data()) % 64, 0u) << i;
  }
  EXPECT_TRUE(elements("none").empty());
}

TEST(ExternalTensors, BoolsAndOtherTypesOfTheSameBytesAreApart) {
  const TemporaryFolder folder;
  write_file(folder / "w", std::string(2000, '\x07'));
  onnx::ModelProto model = small_model();
  for (const auto& [name, dtype] : {std::pair("bools", TensorProto::BOOL), {"bytes", TensorProto::UINT8}}) {
    TensorProto& tensor = *model.mutable_graph()->add_initializer() = floats(name, {2000}, {});
    tensor.set_data_type(dtype);
    make_external(tensor, "w", "", "");
  }
  write_file(folder / "m.onnx", model.SerializeAsString());
  const ir::Model loaded = load_model(folder / "m.onnx", {});
  EXPECT_EQ(loaded.graph.constant_of(loaded.graph.find("bytes"))->data<uint8_t>()[1999], 7);
  EXPECT_EQ(loaded.graph.constant_of(loaded.graph.find("bools"))->bytes()[1999], std::byte{1});
}

TEST(ExternalTensors, CanNotMakeMuchOfASmallFile) {
  const TemporaryFolder folder;
  write_file(folder / "w", std::string(1 << 20, 'w'));
  onnx::ModelProto overlapping = small_model();
  onnx::ModelProto repeated = small_model();
  auto& function = *repeated.add_functions();
  function.set_name("f");
  function.set_domain("custom");
  for (int i = 0; i < 100; ++i) {
    TensorProto tensor = floats(fmt::format("t{}", i), {(1 << 20) - 100}, {});
    tensor.set_data_type(TensorProto::INT8);
    make_external(tensor, "w", std::to_string(i), "");
    *overlapping.mutable_graph()->add_initializer() = tensor;
    auto& attribute = *(*function.add_node() = node("Constant", {}, {fmt::format("c{}", i)})).add_attribute();
    attribute.set_name("value");
    *attribute.mutable_t() = tensor;
    attribute.mutable_t()->mutable_external_data(1)->set_value("0");
  }
  for (const onnx::ModelProto& model : {overlapping, repeated}) {
    write_file(folder / "m.onnx", model.SerializeAsString());
    EXPECT_TRUE(
        fails_with(ErrorCode::kResourceLimit, "external tensors overlap", [&] { load_model(folder / "m.onnx", {}); }));
  }
}

TEST(ExternalTensors, OfTypesThatAreNotKnownAreKept) {
  const TemporaryFolder folder;
  write_file(folder / "w", "0123456789");
  onnx::ModelProto model = small_model();
  TensorProto& tensor = *model.mutable_graph()->add_initializer() = floats("new", {7}, {});
  tensor.set_data_type(99);
  make_external(tensor, "w", "2", "5");
  write_file(folder / "m.onnx", model.SerializeAsString());
  EXPECT_EQ(to_proto(load_model(folder / "m.onnx", {})).graph().initializer(1).raw_data(), "23456");
}

// --- symbolic links --------------------------------------------------------------------------------------------------

/// A model with external data as the layouts of caches have it: the named path and where it leads to.
class LinkedModel : public testing::Test {
 protected:
  /// Puts the files at these places, the data's being "data" to the model, and links to them into named/.
  void lay_out(const std::string& model_place, const std::string& data_place) {
    onnx::ModelProto model = small_model();
    TensorProto& tensor = *model.mutable_graph()->add_initializer() = floats("hidden", {2}, {1, 2});
    make_external(tensor, "data", "", "");
    std::filesystem::create_directories(folder / "named");
    for (const std::string& place : {model_place, data_place})
      std::filesystem::create_directories((folder / place).parent_path());
    write_file(folder / model_place, model.SerializeAsString());
    write_file(folder / data_place, bytes_of({1, 2}));
    std::filesystem::create_symlink(folder / model_place, named);
  }
  void link_data(const std::string& place) { std::filesystem::create_symlink(folder / place, folder / "named/data"); }
  bool is_refused() {
    return fails_with(ErrorCode::kInvalidModel, "--allow-external DIR", [&] { load_model(named, {}); });
  }

  TemporaryFolder folder;
  std::filesystem::path named = folder / "named/m.onnx";
};

TEST_F(LinkedModel, AndDataThatLeadToOneFolder) {
  lay_out("blobs/0", "blobs/1");
  link_data("blobs/1");
  const ir::Model loaded = load_model(named, {});
  EXPECT_EQ(loaded.graph.constant_of(loaded.graph.find("hidden"))->data<float>()[1], 2);
  EXPECT_EQ(external_files(named), std::set<std::filesystem::path>{folder / "named/data"});
}

TEST_F(LinkedModel, AloneTakesTheDataBesideItsTarget) {
  lay_out("real/m.onnx", "real/data");
  EXPECT_NO_THROW(load_model(named, {}));
  EXPECT_EQ(external_files(named), std::set<std::filesystem::path>{folder / "real/data"});
  write_file(folder / "named/data", bytes_of({3, 4}));  // the named folder comes first
  const ir::Model loaded = load_model(named, {});
  EXPECT_EQ(loaded.graph.constant_of(loaded.graph.find("hidden"))->data<float>()[1], 4);
}

TEST_F(LinkedModel, AndDataInAFolderEachTakeAnOption) {
  lay_out("objects/a/0", "objects/b/1");
  link_data("objects/b/1");
  EXPECT_TRUE(is_refused());
  const std::vector<std::filesystem::path> allowed{folder / "objects"}, other{folder / "objects/a"};
  EXPECT_NO_THROW(load_model(named, {}, allowed));
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "leads to", [&] { load_model(named, {}, other); }));
  for (const std::filesystem::path& missing : {folder / "nowhere", std::filesystem::path()}) {
    const std::vector<std::filesystem::path> folders{folder / "objects", missing};
    EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "is no folder", [&] { load_model(named, {}, folders); }));
  }
}

TEST_F(LinkedModel, DoesNotOpenTheHomeFolderUnlessThatIsNamed) {
  lay_out("home/m.onnx", "home/below/1");
  link_data("home/below/1");
  EXPECT_NO_THROW(load_model(named, {}));
  const std::string before = std::getenv("HOME") ? std::getenv("HOME") : "";
  for (const char* home : {"home", "home/below", "home/new"}) {  // the folder itself, and one above it
    ::setenv("HOME", (folder / home).c_str(), 1);
    EXPECT_TRUE(is_refused()) << home;
  }
  std::filesystem::create_symlink("below/1", folder / "home/data");
  EXPECT_NO_THROW(load_model(folder / "home/m.onnx", {}));
  ::setenv("HOME", before.c_str(), 1);
}

TEST_F(LinkedModel, ToAHardLinkIsRefusedAsEver) {
  lay_out("blobs/0", "blobs/1");
  link_data("blobs/1");
  std::filesystem::create_hard_link(folder / "blobs/1", folder / "another");
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "hard link", [&] { load_model(named, {}); }));
}

TEST_F(LinkedModel, IsNotWrittenThrough) {
  lay_out("blobs/0", "blobs/1");
  link_data("blobs/1");
  const ir::Model loaded = load_model(named, {});
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "write to a new name, or to " + (folder / "blobs/0").string() + " itself",
                         [&] { save_model(loaded, named, ExternalData::kAuto); }));
  save_model(loaded, folder / "named/new.onnx", ExternalData::kAlways);
  EXPECT_NO_THROW(load_model(folder / "named/new.onnx", {}));
}

// --- hostile ones ----------------------------------------------------------------------------------------------------

struct BadData {
  const char* name;
  std::function<void(TensorProto&)> edit;
  ErrorCode code;
  const char* words;
};

TEST(ExternalTensors, BadEntriesAreRefused) {
  const TemporaryFolder outside;
  write_file(outside / "w", bytes_of({1, 2}));
  const TemporaryFolder folder;
  write_file(folder / "w", bytes_of({1, 2}));
  write_file(folder / "linked", bytes_of({1, 2}));
  std::filesystem::create_directory(folder / "folder");
  std::filesystem::create_hard_link(folder / "linked", folder / "hard");
  std::filesystem::create_symlink(outside / "w", folder / "soft");
  std::filesystem::create_directory_symlink(outside.path(), folder / "way_out");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);

  const auto at = [](const std::string& location, const std::string& offset = "", const std::string& length = "") {
    return [=](TensorProto& tensor) { make_external(tensor, location, offset, length); };
  };
  const BadData cases[] = {
      {"absolute", at((outside / "w").string()), ErrorCode::kInvalidModel, "is absolute"},
      {"parent", at("../w"), ErrorCode::kInvalidModel, "leaves the model's folder"},
      {"parent in the middle", at("folder/../../w"), ErrorCode::kInvalidModel, "leaves the model's folder"},
      {"parent and back", at("folder/../w"), ErrorCode::kInvalidModel, "leaves the model's folder"},
      {"parent at the end", at("folder/.."), ErrorCode::kInvalidModel, "leaves the model's folder"},
      {"symbolic link", at("soft"), ErrorCode::kInvalidModel, "out of the model's folder; --allow-external DIR"},
      {"linked folder", at("way_out/w"), ErrorCode::kInvalidModel, "out of the model's folder"},
      {"hard link", at("hard"), ErrorCode::kInvalidModel, "hard link"},
      {"pipe", at("pipe"), ErrorCode::kIo, "not a regular file"},
      {"folder", at("folder"), ErrorCode::kIo, "not a regular file"},
      {"folder with a slash", at("folder/"), ErrorCode::kInvalidModel, "is a folder"},
      {"this folder", at("."), ErrorCode::kInvalidModel, "is a folder"},
      {"file as a folder", at("w/w"), ErrorCode::kInvalidModel, "goes through a file"},
      {"empty", at(""), ErrorCode::kInvalidModel, "is empty"},
      {"NUL", at(std::string("w\0x", 3)), ErrorCode::kInvalidModel, "NUL"},
      {"line break", at("a\nb"), ErrorCode::kIo, "a?b"},
      {"missing", at("nowhere"), ErrorCode::kIo, "can't be opened"},
      {"too long a name", at(std::string(5000, 'a')), ErrorCode::kIo, "can't be opened"},
      {"negative offset", at("w", "-8", "8"), ErrorCode::kInvalidModel, "offset \"-8\" is not a number of bytes"},
      {"offset with words", at("w", "0x0", "8"), ErrorCode::kInvalidModel, "is not a number of bytes"},
      {"offset with a space", at("w", " 0", "8"), ErrorCode::kInvalidModel, "is not a number of bytes"},
      {"empty length",
       [&](TensorProto& t) {
         make_external(t, "w", "0", "");
         put_entry(t, "length", "");
       },
       ErrorCode::kInvalidModel, "is not a number of bytes"},
      {"offset beyond 64 bits", at("w", "18446744073709551616", "8"), ErrorCode::kInvalidModel,
       "is not a number of bytes"},
      {"offset behind the end", at("w", "9", "8"), ErrorCode::kInvalidModel, "behind the end"},
      {"offset at the end", at("w", "8", "8"), ErrorCode::kInvalidModel, "passes the end"},
      {"sum beyond 64 bits", at("w", "9223372036854775807", "8"), ErrorCode::kInvalidModel, "behind the end"},
      {"huge length", at("w", "0", "9223372036854775807"), ErrorCode::kInvalidModel, "the tensor takes 8"},
      {"short length", at("w", "0", "4"), ErrorCode::kInvalidModel, "has 4 bytes; the tensor takes 8"},
      {"no location",
       [](TensorProto& t) {
         t.clear_raw_data();
         t.set_data_location(TensorProto::EXTERNAL);
       },
       ErrorCode::kInvalidModel, "no location"},
      {"two locations",
       [&](TensorProto& t) {
         at("w")(t);
         put_entry(t, "location", "w");
       },
       ErrorCode::kInvalidModel, "two entries for location"},
      {"two lengths",
       [&](TensorProto& t) {
         at("w", "0", "8")(t);
         put_entry(t, "length", "8");
       },
       ErrorCode::kInvalidModel, "two entries for length"},
      {"inline as well",
       [&](TensorProto& t) {
         at("w")(t);
         t.set_raw_data(bytes_of({1, 2}));
       },
       ErrorCode::kInvalidModel, "given twice"},
      {"typed as well",
       [&](TensorProto& t) {
         at("w")(t);
         t.add_float_data(1);
       },
       ErrorCode::kInvalidModel, "given twice"},
      {"strings",
       [&](TensorProto& t) {
         at("w")(t);
         t.set_data_type(TensorProto::STRING);
       },
       ErrorCode::kInvalidModel, "strings"},
      {"negative dimension",
       [&](TensorProto& t) {
         at("w")(t);
         t.set_dims(0, -2);
       },
       ErrorCode::kInvalidModel, "negative dimension"},
      {"huge shape",
       [&](TensorProto& t) {
         at("w")(t);
         t.set_dims(0, int64_t{1} << 61);
       },
       ErrorCode::kInvalidModel, "does not fit 64 bits"},
      {"large shape",
       [&](TensorProto& t) {
         at("w")(t);
         t.set_dims(0, int64_t{1} << 50);
       },
       ErrorCode::kInvalidModel, "passes the end"},
  };
  for (const BadData& bad : cases) {
    SCOPED_TRACE(bad.name);
    onnx::ModelProto model = small_model();
    TensorProto& tensor = *model.mutable_graph()->add_initializer() = floats("hidden", {2}, {1, 2});
    bad.edit(tensor);
    write_file(folder / "m.onnx", model.SerializeAsString());
    EXPECT_TRUE(fails_with(bad.code, bad.words, [&] { load_model(folder / "m.onnx", {}); }));
    EXPECT_TRUE(fails_with(bad.code, "m.onnx: tensor \"hidden\": ", [&] { load_model(folder / "m.onnx", {}); }));
  }
}

TEST(ExternalTensors, KeepToTheLimitTogether) {
  const TemporaryFolder folder;
  save(large_model(), folder / "m.onnx", ExternalData::kAlways);
  Limits limits;
  limits.external_bytes = 8192 + 409600;
  EXPECT_NO_THROW(load_model(folder / "m.onnx", limits));
  --limits.external_bytes;
  EXPECT_TRUE(
      fails_with(ErrorCode::kResourceLimit, "more external data", [&] { load_model(folder / "m.onnx", limits); }));
}

}  // namespace

}  // namespace pli::test
