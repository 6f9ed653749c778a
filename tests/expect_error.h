#pragma once

#include <pli/error.h>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace pli::test {

/// Expects an Error of this code whose message is one line and contains `words`.
template <class Body>
testing::AssertionResult fails_with(ErrorCode code, std::string_view words, Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    const std::string_view message = e.what();
    if (e.code() != code)
      return testing::AssertionFailure() << to_string(e.code()) << ", not " << to_string(code) << ": " << message;
    if (message.find(words) == std::string_view::npos)
      return testing::AssertionFailure() << "no \"" << words << "\" in: " << message;
    if (message.find('\n') != std::string_view::npos)
      return testing::AssertionFailure() << "more than one line: " << message;
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "no error";
}

}  // namespace pli::test
