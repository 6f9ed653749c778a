#include "tools/support/data/npy.h"

#include "runtime/core/error.h"
#include "runtime/core/tensor.h"
#include "tests/subprocess.h"

#include <gtest/gtest.h>

#include <random>

namespace pli::tools {
namespace {

/// A file of format `major` with this header text and payload.
std::string npy(int major, const std::string& header, const std::string& payload) {
  std::string file = "\x93NUMPY";
  file += static_cast<char>(major);
  file += '\0';
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) file += static_cast<char>((header.size() >> (8 * i)) & 0xff);
  return file + header + payload;
}

std::string npy(const std::string& header, const std::string& payload) { return npy(1, header, payload); }

Tensor parse(const std::string& file) { return parse_npy(std::as_bytes(std::span(file))); }

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(Npy, ReadsEveryVersion) {
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
  const std::vector<float> values{1, 2, 3, 4, 5, 6.5};
  for (int major = 1; major <= 3; ++major) {
    const Tensor tensor = parse(npy(major, header, bytes_of(values)));
    EXPECT_EQ(to_string(tensor.shape()), "[2, 3]");
    EXPECT_TRUE(std::ranges::equal(tensor.data<float>(), values));
  }
}

TEST(Npy, ReadsKeysInAnyOrderAndScalars) {
  const Tensor tensor = parse(npy("{ \"shape\":(),'fortran_order':False ,'descr':'<i8'}", bytes_of<int64_t>({-7})));
  EXPECT_TRUE(tensor.shape().empty());
  EXPECT_EQ(tensor.data<int64_t>()[0], -7);
}

TEST(Npy, TurnsFortranOrderRound) {
  // The 2x3x2 array whose element [i, j, k] is 100 i + 10 j + k, first index fastest.
  std::vector<int16_t> values;
  for (int k = 0; k < 2; ++k)
    for (int j = 0; j < 3; ++j)
      for (int i = 0; i < 2; ++i) values.push_back(static_cast<int16_t>(100 * i + 10 * j + k));
  const Tensor tensor = parse(npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3, 2), }", bytes_of(values)));
  const auto data = tensor.data<int16_t>();
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 2; ++k) EXPECT_EQ(data[static_cast<size_t>((i * 3 + j) * 2 + k)], 100 * i + 10 * j + k);
}

TEST(Npy, ReadsWhatItWritesForEveryType) {
  std::mt19937 random(7);
  for (const DataType dtype :
       {DataType::kBool, DataType::kInt8, DataType::kInt16, DataType::kInt32, DataType::kInt64, DataType::kUint8,
        DataType::kUint16, DataType::kUint32, DataType::kUint64, DataType::kFloat16, DataType::kFloat32,
        DataType::kFloat64, DataType::kComplex64, DataType::kComplex128}) {
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{0, 3}, Shape{2, 3, 4}}) {
      Tensor tensor(dtype, shape);
      for (size_t i = 0; i < tensor.bytes().size(); ++i)
        static_cast<unsigned char*>(tensor.mutable_raw())[i] = static_cast<unsigned char>(random() % 2);
      const std::string file = npy_bytes(tensor);
      EXPECT_EQ(file.find('\n') % 64, 63u) << "the payload starts at a multiple of 64";
      EXPECT_TRUE(identical(parse(file), tensor)) << to_string(dtype) << to_string(shape);
    }
  }
}

TEST(Npy, IsWhatNumPyReadsAndWrites) {
  const test::TemporaryFolder folder;
  std::vector<double> values(24);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 0.25 * static_cast<double>(i) - 2;
  test::write_file(folder / "a.npy", npy_bytes(Tensor::copy<double>({2, 3, 4}, std::span<const double>(values))));
  const std::string script =
      "import sys\n"
      "try: import numpy as np\n"
      "except ImportError: sys.exit(99)\n"
      "a = np.load('a.npy')\n"
      "assert a.shape == (2, 3, 4) and a.dtype == np.float64 and a[1, 2, 3] == 0.25 * 23 - 2\n"
      "np.save('b.npy', np.asfortranarray(a.transpose(2, 0, 1).astype(np.float32)))\n";
  const test::Finished python = test::run_program({"/usr/bin/python3", "-c", script}, folder.path());
  if (python.code == 99 || python.code == 127) GTEST_SKIP() << "no NumPy here";
  ASSERT_EQ(python.code, 0) << python.err;
  const Tensor back = read_npy(folder / "b.npy");
  EXPECT_EQ(to_string(back.shape()), "[4, 2, 3]");
  EXPECT_EQ(back.data<float>()[static_cast<size_t>((3 * 2 + 1) * 3 + 2)], 0.25f * 23 - 2);
}

struct Refusal {
  std::string file;
  ErrorCode code;
  std::string says;
};

TEST(Npy, RefusesEverythingElse) {
  constexpr ErrorCode kWrong = ErrorCode::kInvalidArgument;
  constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;
  const auto header = [](const std::string& descr, const std::string& shape) {
    return fmt::format("{{'descr': {}, 'fortran_order': False, 'shape': {}, }}", descr, shape);
  };
  const std::string good = header("'<f4'", "(2,)");
  const std::string payload = bytes_of<float>({1, 2});
  const std::vector<Refusal> refusals{
      {"", kWrong, "start"},
      {"\x93NUMPY", kWrong, "start"},
      {"PK\x03\x04 an archive of arrays", kWrong, "start"},
      {npy(4, good, payload), kUnsupported, "version 4"},
      {npy(2, good, payload).substr(0, 11), kWrong, "header"},
      {npy(good, payload).substr(0, 30), kWrong, "header"},
      {npy(good, payload.substr(1)), kWrong, "7 bytes"},
      {npy(good, payload + "x"), kWrong, "9 bytes"},
      {npy(header("'<f4'", "(-2,)"), payload), kWrong, "dimension"},
      {npy(header("'<f4'", "(4294967296, 4294967296, 4)"), payload), kWrong, "bytes"},
      {npy(header("'<f4'", "(99999999999999999999,)"), payload), kWrong, "dimension"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2", payload), kWrong, "tuple"},
      {npy("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }", payload), kWrong, "True"},
      {npy("{'descr': '<f4', 'shape': (2,), }", payload), kWrong, "lacks"},
      {npy(good + " x", payload), kWrong, "end"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}", payload), kWrong, "key"},
      {npy("{'descr: '<f4'", payload), kWrong, "header"},
      {npy(header("'>f4'", "(2,)"), payload), kUnsupported, "big-endian"},
      {npy(header("'|O'", "(2,)"), payload), kUnsupported, "|O"},
      {npy(header("'<U3'", "(2,)"), payload), kUnsupported, "<U3"},
      {npy(header("''", "(2,)"), payload), kUnsupported, "type"},
      {npy(header("[('a', '<f4')]", "(2,)"), payload), kUnsupported, "records"},
      {npy(header("'|b1'", "(1,)"), "\x02"), kWrong, "bool"},
  };
  for (const auto& [file, code, says] : refusals) {
    try {
      parse(file);
      ADD_FAILURE() << "read: " << says;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code) << e.what();
      EXPECT_NE(std::string(e.what()).find(says), std::string::npos) << e.what();
    }
  }
}

TEST(Npy, NeverReadsACutFile) {
  const std::string whole = npy_bytes(Tensor::copy<int32_t>({2, 2}, std::vector<int32_t>{1, 2, 3, 4}));
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_THROW(parse(whole.substr(0, length)), Error) << length;
}

TEST(Npy, RefusesToWriteWhatNumPyDoesNotHave) {
  EXPECT_THROW(npy_bytes(Tensor(DataType::kBfloat16, {2})), Error);
  EXPECT_THROW(npy_bytes(Tensor(DataType::kString, {2})), Error);
  EXPECT_THROW(npy_bytes(Tensor(DataType::kInt4, {2})), Error);
}

}  // namespace
}  // namespace pli::tools
