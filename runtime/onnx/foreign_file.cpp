#include "runtime/onnx/foreign_file.h"

#include <algorithm>

namespace pli {

namespace {

using namespace std::string_view_literals;

struct Format {
  size_t offset;
  std::string_view magic;
  std::string_view meaning;
};

constexpr std::string_view kPyTorch = "a PyTorch checkpoint, not ONNX; export the model with torch.onnx.export";
constexpr std::string_view kWebPage =
    "a web page, not a model; download the file itself, which many sites offer as \"raw\"";

/// From the most telling to the least.
constexpr Format kFormats[] = {
    {0, "version https://git-lfs.github.com", "a Git LFS pointer, not the model itself; `git lfs pull` gets that"},
    {0, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"sv, kPyTorch},
    {0, "\x89HDF\r\n", "a Keras or HDF5 file, not ONNX; convert the model with tf2onnx or keras.export"},
    {4, "TFL3", "a TensorFlow Lite model, not ONNX; convert it with tf2onnx --tflite"},
    {4, "ORTM", "a model in ONNX Runtime's own format; use the .onnx file that it was made from"},
    {0, "\x1f\x8b", "compressed with gzip; unpack it with gunzip"},
    {0, "\x28\xb5\x2f\xfd", "compressed with Zstandard; unpack it with unzstd"},
    {0,
     "\xfd"
     "7zXZ",
     "compressed with xz; unpack it with unxz"},
    {0, "BZh", "compressed with bzip2; unpack it with bunzip2"},
    {257, "ustar", "a tar archive; unpack it, the model may be in it"},
    {0, "\x93NUMPY", "an array of NumPy, not a model"},
};

/// A ZIP archive by the name of its first member, which stands behind a header of 30 bytes.
std::string_view describe_archive(std::string_view start) {
  constexpr size_t kHeader = 30;
  const std::string_view rest = start.substr(std::min(start.size(), kHeader));
  if (rest.find("data.pkl") != std::string_view::npos || rest.find("/version") != std::string_view::npos)
    return kPyTorch;
  if (rest.starts_with("metadata.json") || rest.starts_with("config.json"))
    return "a Keras model, not ONNX; convert it with keras.export or tf2onnx";
  if (rest.find(".npy") != std::string_view::npos) return "an archive of NumPy arrays, not a model";
  return "a ZIP archive; unpack it, the model may be in it";
}

bool starts_a_web_page(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n\xef\xbb\xbf"), text.size()));
  const auto starts = [&](std::string_view tag) {
    return text.size() >= tag.size() && std::ranges::equal(text.substr(0, tag.size()), tag, [](char a, char b) {
             return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
           });
  };
  return starts("<!doctype html") || starts("<html");
}

/// The length of a JSON header in 8 bytes, then the header.
bool starts_safetensors(std::string_view text) {
  return text.size() > 9 && text.substr(5, 3) == "\0\0\0"sv && text[8] == '{' && text[9] == '"';
}

/// What pickle begins with from protocol 2 on; files that PyTorch wrote before version 1.6 are more than one of these.
bool starts_pickle(std::string_view text) {
  return text.size() > 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5;
}

}  // namespace

std::optional<std::string_view> describe_foreign_file(std::span<const std::byte> start) {
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  if (text.empty()) return "the file is empty; its export or download did not finish";
  for (const Format& format : kFormats)
    if (text.size() >= format.offset && text.substr(format.offset).starts_with(format.magic)) return format.meaning;
  if (text.starts_with("PK\x03\x04")) return describe_archive(text);
  if (starts_a_web_page(text)) return kWebPage;
  if (starts_safetensors(text)) return "weights in the safetensors format, not a model; export the model to ONNX";
  if (starts_pickle(text)) return "a pickle of Python; if it is a PyTorch checkpoint, export it with torch.onnx.export";
  if (text.starts_with("<?xml"))
    return "an XML file; of OpenVINO's models take the .onnx file that they were made from";
  if (text.starts_with('{')) return "a JSON file, not a model";
  return std::nullopt;
}

}  // namespace pli
