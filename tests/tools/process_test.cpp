#include "tools/support/process/process.h"

#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include <unistd.h>

namespace pli::tools {
namespace {

TEST(Process, TalksInDocuments) {
  Child child([](Channel& channel) {
    while (const auto request = channel.receive()) channel.send({{"twice", 2 * int{request->at("number")}}});
    return 0;
  });
  for (const int number : {3, 21}) {
    EXPECT_TRUE(child.channel().send({{"number", number}}));
    const auto answer = child.channel().receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->at("twice"), 2 * number);
  }
}

TEST(Process, DocumentsMayBeLongAndHoldLineEnds) {
  Child child([](Channel& channel) {
    channel.send(*channel.receive());
    return 0;
  });
  const Json document{{"text", std::string(3000000, 'x') + "\n\"\n"}};
  std::thread sender([&] { child.channel().send(document); });
  const auto answer = child.channel().receive();
  sender.join();
  ASSERT_TRUE(answer);
  EXPECT_EQ(*answer, document);
}

TEST(Process, SaysHowTheChildEnded) {
  Child normal([](Channel&) { return 3; });
  EXPECT_FALSE(normal.channel().receive());
  EXPECT_EQ(normal.wait(), "exit code 3");
  EXPECT_EQ(normal.signal(), 0);

  Child killed([](Channel&) {
    std::signal(SIGSEGV, SIG_DFL);
    std::raise(SIGSEGV);
    return 0;
  });
  EXPECT_FALSE(killed.channel().receive());
  EXPECT_EQ(killed.wait(), "killed by signal 11 (Segmentation fault)");
  EXPECT_EQ(killed.signal(), SIGSEGV);
}

TEST(Process, GarbageIsNoDocument) {
  Child child([](Channel& channel) {
    const std::string garbage = "not JSON\n";
    return ::write(channel.descriptor(), garbage.data(), garbage.size()) > 0 ? 0 : 1;
  });
  EXPECT_FALSE(child.channel().receive());
}

TEST(Process, ChildDiesWithItsOwner) {
  pid_t pid = 0;
  {
    Child child([](Channel& channel) {
      channel.send({{"pid", ::getpid()}});
      ::pause();
      return 0;
    });
    pid = int{child.channel().receive()->at("pid")};
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Process, SendingToAChildThatIsGoneFails) {
  Child child([](Channel&) { return 0; });
  child.channel().receive();
  child.wait();
  EXPECT_FALSE(child.channel().send({{"a", 1}}));
}

}  // namespace
}  // namespace pli::tools
