#include "runtime/core/error.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace pli {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kInvalidModel:
      return "invalid_model";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kResourceLimit:
      return "resource_limit";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "unknown";
}

std::string one_line(std::string text) {
  constexpr size_t kLongest = 16 << 10;
  if (text.size() > kLongest) text.replace(kLongest, std::string::npos, "...");
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

Error in_context(Place place, const std::string& context, const Error& error) {
  if (place == Place::kFile && error.file() == context) return error;  // it says so itself
  const auto innermost = [&](Place wanted, const std::string& known) {
    return known.empty() && place == wanted ? one_line(context) : known;
  };
  return Error(error.code(), one_line(context + ": " + error.what()), innermost(Place::kFile, error.file()),
               innermost(Place::kNode, error.node()));
}

namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace

std::string suggest(std::string_view wrong, std::span<const std::string> right) {
  constexpr size_t kMostListed = 8;
  constexpr size_t kLongestCompared = 256;
  std::string words;
  for (size_t i = 0; i < std::min(right.size(), kMostListed); ++i)
    words += fmt::format("{}\"{}\"", i ? ", " : "", right[i]);
  if (right.size() > kMostListed) words += fmt::format(" and {} more", right.size() - kMostListed);
  if (right.size() < 2 || wrong.size() > kLongestCompared) return words;

  const std::string* nearest = nullptr;
  size_t least = std::max<size_t>(2, wrong.size() / 3) + 1;
  for (const std::string& candidate : right) {
    if (candidate.size() > kLongestCompared) continue;
    const size_t distance = edit_distance(wrong, candidate);
    if (distance < least) {
      least = distance;
      nearest = &candidate;
    }
  }
  if (nearest) words += fmt::format("; did you mean \"{}\"?", *nearest);
  return words;
}

}  // namespace pli
