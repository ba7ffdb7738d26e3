#include "runner/remote/ssh_keyword.h"

#include "lib/text.h"

#include <assert.h>
#include <ctype.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define PASSED(name)                                                                               \
    { name, SSH_KEYWORD_PASSED, 0, NULL }
#define REFUSED(name, why)                                                                         \
    { name, SSH_KEYWORD_REFUSED, 0, why }
#define SYNTAX(name, kind)                                                                         \
    { name, SSH_KEYWORD_##kind, 0, NULL }
#define USED(name, kind, key)                                                                      \
    { name, SSH_KEYWORD_##kind, SSH_CONFIG_##key, NULL }

static const struct ssh_keyword keywords[] = {
    SYNTAX("Host", HOST),
    SYNTAX("Match", MATCH),
    SYNTAX("Include", INCLUDE),
    USED("IgnoreUnknown", TEXT, IGNORE_UNKNOWN),

    USED("HostName", TEXT, HOST_NAME),
    USED("User", TEXT, USER),
    USED("Port", PORT, PORT),
    USED("AddressFamily", FAMILY, ADDRESS_FAMILY),
    USED("BindAddress", TEXT, BIND_ADDRESS),
    USED("ConnectTimeout", TIME, CONNECT_TIMEOUT),
    USED("ServerAliveInterval", TIME, SERVER_ALIVE_INTERVAL),
    USED("ServerAliveCountMax", COUNT, SERVER_ALIVE_COUNT_MAX),
    USED("ProxyJump", JUMP, PROXY_JUMP),
    USED("ProxyCommand", COMMAND, PROXY_COMMAND),
    USED("Compression", YES_NO, COMPRESSION),
    USED("Ciphers", TEXT, CIPHERS),
    USED("MACs", TEXT, MACS),
    USED("KexAlgorithms", TEXT, KEX_ALGORITHMS),

    USED("IdentityFile", IDENTITY, IDENTITY_FILE),
    USED("IdentityFile2", IDENTITY, IDENTITY_FILE),
    USED("IdentitiesOnly", FLAG, IDENTITIES_ONLY),
    USED("IdentityAgent", TEXT, IDENTITY_AGENT),
    USED("BatchMode", FLAG, BATCH_MODE),
    REFUSED("CertificateFile", "certificates are not"),

    USED("HostKeyAlias", TEXT, HOST_KEY_ALIAS),
    USED("HostKeyAlgorithms", TEXT, HOST_KEY_ALGORITHMS),
    USED("StrictHostKeyChecking", CHECKING, STRICT_HOST_KEY_CHECKING),
    USED("UserKnownHostsFile", LIST, USER_KNOWN_HOSTS),
    USED("GlobalKnownHostsFile", LIST, GLOBAL_KNOWN_HOSTS),
    USED("HashKnownHosts", FLAG, HASH_KNOWN_HOSTS),
    REFUSED("RevokedHostKeys", "mark revoked keys by @revoked in a file of known hosts"),

    REFUSED("BindInterface", "say BindAddress"),
    REFUSED("CanonicalizeHostname", "say HostName, with the name in full"),
    REFUSED("RefuseConnection", "the configuration wants no connection"),

    /* What a user's terminal, X display, forwards or other ways to log in would need. */
    PASSED("AddKeysToAgent"),
    PASSED("CanonicalDomains"),
    PASSED("CanonicalizeFallbackLocal"),
    PASSED("CanonicalizeMaxDots"),
    PASSED("CanonicalizePermittedCNAMEs"),
    PASSED("CASignatureAlgorithms"),
    PASSED("ChallengeResponseAuthentication"),
    PASSED("ChannelTimeout"),
    PASSED("CheckHostIP"),
    PASSED("ClearAllForwardings"),
    PASSED("ConnectionAttempts"),
    PASSED("ControlMaster"),
    PASSED("ControlPath"),
    PASSED("ControlPersist"),
    PASSED("DynamicForward"),
    PASSED("EnableEscapeCommandline"),
    PASSED("EnableSSHKeysign"),
    PASSED("EscapeChar"),
    PASSED("ExitOnForwardFailure"),
    PASSED("FingerprintHash"),
    PASSED("ForkAfterAuthentication"),
    PASSED("ForwardAgent"),
    PASSED("ForwardX11"),
    PASSED("ForwardX11Timeout"),
    PASSED("ForwardX11Trusted"),
    PASSED("GatewayPorts"),
    PASSED("GSSAPIAuthentication"),
    PASSED("GSSAPIClientIdentity"),
    PASSED("GSSAPIDelegateCredentials"),
    PASSED("GSSAPIKexAlgorithms"),
    PASSED("GSSAPIKeyExchange"),
    PASSED("GSSAPIRenewalForcesRekey"),
    PASSED("GSSAPIServerIdentity"),
    PASSED("GSSAPITrustDns"),
    PASSED("HostbasedAcceptedAlgorithms"),
    PASSED("HostbasedAuthentication"),
    PASSED("HostbasedKeyTypes"),
    PASSED("IPQoS"),
    PASSED("KbdInteractiveAuthentication"),
    PASSED("KbdInteractiveDevices"),
    PASSED("KeepAlive"),
    PASSED("KnownHostsCommand"),
    PASSED("LocalCommand"),
    PASSED("LocalForward"),
    PASSED("LogLevel"),
    PASSED("LogVerbose"),
    PASSED("NoHostAuthenticationForLocalhost"),
    PASSED("NumberOfPasswordPrompts"),
    PASSED("ObscureKeystrokeTiming"),
    PASSED("PasswordAuthentication"),
    PASSED("PermitLocalCommand"),
    PASSED("PermitRemoteOpen"),
    PASSED("PKCS11Provider"),
    PASSED("PreferredAuthentications"),
    PASSED("ProxyUseFdpass"),
    PASSED("PubkeyAcceptedAlgorithms"),
    PASSED("PubkeyAcceptedKeyTypes"),
    PASSED("PubkeyAuthentication"),
    PASSED("RekeyLimit"),
    PASSED("RemoteCommand"),
    PASSED("RemoteForward"),
    PASSED("RequestTTY"),
    PASSED("RequiredRSASize"),
    PASSED("SecurityKeyProvider"),
    PASSED("SendEnv"),
    PASSED("SessionType"),
    PASSED("SetEnv"),
    PASSED("SkeyAuthentication"),
    PASSED("SmartcardDevice"),
    PASSED("StdinNull"),
    PASSED("StreamLocalBindMask"),
    PASSED("StreamLocalBindUnlink"),
    PASSED("SyslogFacility"),
    PASSED("Tag"),
    PASSED("TCPKeepAlive"),
    PASSED("TISAuthentication"),
    PASSED("Tunnel"),
    PASSED("TunnelDevice"),
    PASSED("UpdateHostKeys"),
    PASSED("VerifyHostKeyDNS"),
    PASSED("VersionAddendum"),
    PASSED("VisualHostKey"),
    PASSED("WarnWeakCrypto"),
    PASSED("XAuthLocation"),

    /* Of ssh's past: it passes them over itself. */
    PASSED("AFSTokenPassing"),
    PASSED("Cipher"),
    PASSED("CompressionLevel"),
    PASSED("DSAAuthentication"),
    PASSED("FallBackToRsh"),
    PASSED("GlobalKnownHostsFile2"),
    PASSED("KerberosAuthentication"),
    PASSED("KerberosTgtPassing"),
    PASSED("Protocol"),
    PASSED("ProtocolKeepAlives"),
    PASSED("RhostsAuthentication"),
    PASSED("RhostsRSAAuthentication"),
    PASSED("RSAAuthentication"),
    PASSED("SetupTimeOut"),
    PASSED("UseBlacklistedKeys"),
    PASSED("UsePrivilegedPort"),
    PASSED("UserKnownHostsFile2"),
    PASSED("UseRoaming"),
    PASSED("UseRsh"),
};
enum { KEYWORDS = sizeof keywords / sizeof *keywords };
_Static_assert(KEYWORDS <= (int)SSH_KEYWORDS_MAX, "room for all keywords");

const struct ssh_keyword *ssh_keyword_find(const char *name) {
    for (size_t i = 0; i < KEYWORDS; i++)
        if (strcasecmp(keywords[i].name, name) == 0)
            return &keywords[i];
    return NULL;
}

size_t ssh_keyword_index(const struct ssh_keyword *keyword) {
    return (size_t)(keyword - keywords);
}

const char *ssh_keyword_nearest(const char *name) {
    const char *names[KEYWORDS];
    for (size_t i = 0; i < KEYWORDS; i++)
        names[i] = keywords[i].name;
    return text_nearest(name, names, KEYWORDS);
}

/* ---- values ---- */

static const char *const flags[] = {"yes", "true", "no", "false", NULL};
static const char *const checks[] = {"yes", "true", "no",         "false",
                                     "off", "ask",  "accept-new", NULL};
static const char *const families[] = {"any", "inet", "inet6", NULL};

/* Place in the list, or -1. */
static int place_of(const char *text, const char *const *names) {
    for (int i = 0; names[i]; i++)
        if (strcasecmp(names[i], text) == 0)
            return i;
    return -1;
}

bool ssh_config_flag(const char *text) {
    int place = place_of(text, flags);
    assert(place >= 0);
    return place < 2;
}

int ssh_config_checking(const char *text) {
    static const int meanings[] = {SSH_CONFIG_CHECK_YES, SSH_CONFIG_CHECK_YES, SSH_CONFIG_CHECK_NO,
                                   SSH_CONFIG_CHECK_NO,  SSH_CONFIG_CHECK_NO,  SSH_CONFIG_CHECK_ASK,
                                   SSH_CONFIG_CHECK_NEW};
    int place = place_of(text, checks);
    assert(place >= 0);
    return meanings[place];
}

int ssh_config_family(const char *text) {
    static const int meanings[] = {AF_UNSPEC, AF_INET, AF_INET6};
    int place = place_of(text, families);
    assert(place >= 0);
    return meanings[place];
}

static int64_t unit_of(char c) {
    switch (c) {
    case 's':
    case 'S': return 1;
    case 'm':
    case 'M': return 60;
    case 'h':
    case 'H': return 60 * 60;
    case 'd':
    case 'D': return 24 * 60 * 60;
    case 'w':
    case 'W': return 7 * 24 * 60 * 60;
    default: return 0;
    }
}

/* -1: not a time. */
static int64_t seconds_of(const char *text) {
    int64_t sum = 0;
    if (*text == '\0')
        return -1;
    while (*text) {
        int64_t number = 0;
        if (!isdigit((unsigned char)*text))
            return -1;
        for (; isdigit((unsigned char)*text); text++) {
            number = number * 10 + (*text - '0');
            if (number > INT_MAX)
                return -1;
        }
        int64_t unit = *text ? unit_of(*text++) : 1;
        sum += number * unit;
        if (unit == 0 || sum > INT_MAX)
            return -1;
    }
    return sum;
}

int ssh_config_time(const char *text, int64_t *ret_s, struct error *err) {
    int64_t seconds = seconds_of(text);
    bool none = strcasecmp(text, "none") == 0;
    if (seconds < 0 && !none)
        return error_set(err, ERROR_CONFIG, "'%.50s' is not a time", text);
    *ret_s = none ? -1 : seconds;
    return 0;
}

static bool number_within(const char *text, uint64_t min, uint64_t max) {
    struct error ignored = ERROR_NULL;
    uint64_t number;
    return text_to_u64(text, min, max, &number, &ignored) == 0;
}

bool ssh_keyword_accepts(const struct ssh_keyword *keyword, const char *value) {
    switch (keyword->kind) {
    case SSH_KEYWORD_FLAG: return place_of(value, flags) >= 0;
    case SSH_KEYWORD_YES_NO: return place_of(value, flags) % 2 == 0;
    case SSH_KEYWORD_CHECKING: return place_of(value, checks) >= 0;
    case SSH_KEYWORD_FAMILY: return place_of(value, families) >= 0;
    case SSH_KEYWORD_TIME: return strcasecmp(value, "none") == 0 || seconds_of(value) >= 0;
    case SSH_KEYWORD_COUNT: return number_within(value, 0, INT_MAX);
    case SSH_KEYWORD_PORT: return number_within(value, 1, UINT16_MAX);
    default: return true;
    }
}

const char *ssh_keyword_expects(const struct ssh_keyword *keyword) {
    switch (keyword->kind) {
    case SSH_KEYWORD_FLAG:
    case SSH_KEYWORD_YES_NO: return "yes or no";
    case SSH_KEYWORD_CHECKING: return "yes, no, ask or accept-new";
    case SSH_KEYWORD_FAMILY: return "any, inet or inet6";
    case SSH_KEYWORD_TIME: return "seconds, or a time as 1m30s";
    case SSH_KEYWORD_COUNT: return "a number";
    case SSH_KEYWORD_PORT: return "a number from 1 to 65535";
    default: return "a text";
    }
}
