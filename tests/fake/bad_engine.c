/*
 * An engine that is polite until the runner relies on it, for tests of the whole command:
 *
 *     bad_engine BEHAVIOUR
 *
 * prints DOCKER_HOST=unix://... and plays its part until stdin ends. Behaviours are the table
 * below.
 */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "tests/fake/fake.h"
#include "tests/unit/tar_bytes.h"

#include <stdio.h>
#include <unistd.h>

/* clang-format off */
#define POLITE                                                                                     \
    FAKE_EXPECT("GET /_ping"),                                                                     \
    FAKE_SEND("HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"),              \
    FAKE_EXPECT("GET /v1.41/info"),                                                                \
    FAKE_ANSWER("200 OK", "{\"ID\":\"x\",\"Name\":\"h\",\"ServerVersion\":\"20.10\",\"NCPU\":2}"), \
    FAKE_EXPECT("GET /v1.41/containers/json")

static const struct fake_step stalls[] = {POLITE, FAKE_STALL(), FAKE_END()};
static const struct fake_step closes[] = {
    POLITE, FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{"), FAKE_CLOSE(), FAKE_END()};
static const struct fake_step floods[] = {
    POLITE, FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n[\""),
    FAKE_REPEAT("x", UINT64_C(10000000000)), FAKE_END()};
static const struct fake_step lies[] = {
    POLITE, FAKE_ANSWER("200 OK", "[{\"Id\": 7}]"), FAKE_END()};
static const struct fake_step fails[] = {
    POLITE, FAKE_ANSWER("500 Internal Server Error", "{\"message\":\"layer store is \\u001b[31mbroken\"}"),
    FAKE_END()};

/* For commands that look at containers: a name that would steer the terminal; ... */
#define PING                                                                                       \
    FAKE_EXPECT("GET /_ping"),                                                                     \
    FAKE_SEND("HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK")
#define CONTAINER(name)                                                                            \
    FAKE_EXPECT("GET /v1.41/containers/json"),                                                     \
    FAKE_ANSWER("200 OK", "[{\"Id\":\"0123456789abcdef\",\"Names\":[\"/" name "\"],\"Image\":\"x\","   \
        "\"ImageID\":\"y\",\"State\":\"running\",\"Status\":\"Up\",\"Created\":1,"                   \
        "\"Labels\":{\"com.docker.compose.service\":\"a\"}}]")
static const struct fake_step names[] = {PING, CONTAINER("a\\u001b[2J"), FAKE_END()};

/* ... and a folder with more in it than belongs there. {"name":"way","size":0,"mode":2147484141} */
static struct fake_step smuggles[] = {
    PING, CONTAINER("a-1"), PING,
    FAKE_EXPECT("HEAD /v1.41/containers/a-1/archive"),
    FAKE_SEND("HTTP/1.1 200 OK\r\nX-Docker-Container-Path-Stat: "
              "eyJuYW1lIjoid2F5Iiwic2l6ZSI6MCwibW9kZSI6MjE0NzQ4NDE0MX0=\r\n\r\n"),
    FAKE_EXPECT("GET /v1.41/containers/a-1/archive"),
    FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\nConnection: close\r\n\r\n"),
    FAKE_SEND(""), /* the tar */
    FAKE_CLOSE(), FAKE_END()};
/* clang-format on */

static void write_tar(struct buffer *tar) {
    buffer_init(tar, 1 << 20);
    tar_header(tar, "./", '5', 0755, 0, NULL);
    tar_file(tar, "./good", 0644, "good\n");
    tar_file(tar, "../above", 0644, "evil\n");
    tar_file(tar, "/tmp/seatrial-smuggled", 0644, "evil\n");
    tar_file(tar, "./a/../../above", 0644, "evil\n");
    tar_header(tar, "./link", '2', 0777, 0, "..");
    tar_file(tar, "./link/above", 0644, "evil\n");
    tar_header(tar, "./hard", '1', 0644, 0, "../secret");
    tar_header(tar, "./device", '3', 0666, 0, NULL);
    tar_file(tar, "./set", 06755, "not set-user-id here\n");
    tar_end(tar);
    for (struct fake_step *step = smuggles; step->kind != FAKE_STEP_END; step++)
        if (step->kind == FAKE_STEP_SEND && step->size == 0 && !*step->text) {
            step->text = tar->data;
            step->size = tar->size;
        }
}

static const struct {
    const char *name;
    const struct fake_step *script;
} behaviours[] = {
    {"stalls", stalls}, {"closes", closes}, {"floods", floods},     {"lies", lies},
    {"fails", fails},   {"names", names},   {"smuggles", smuggles},
};

int main(int argc, char **argv) {
    const struct fake_step *script = NULL;
    for (size_t i = 0; i < sizeof behaviours / sizeof *behaviours; i++)
        if (argc == 2 && text_equal(argv[1], behaviours[i].name))
            script = behaviours[i].script;
    if (!script) {
        fprintf(stderr, "usage: bad_engine stalls|closes|floods|lies|fails|names|smuggles\n");
        return 2;
    }
    cleanup(buffer_deinit) struct buffer tar;
    write_tar(&tar);
    struct fake *fake = fake_start(script);
    printf("DOCKER_HOST=unix://%s\n", fake_socket(fake));
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    fake_finish(fake);
    return 0;
}
