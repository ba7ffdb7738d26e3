#pragma once

/*
 * XML elements from hostile text. The door to libxml2.
 *
 * A document becomes a tree of elements, each with the text in front of its first child.
 * Attributes, namespaces' prefixes, comments and processing instructions are passed over: the
 * answers that we read say nothing by them. A document with a DTD is refused, so there are no
 * entities but the five of XML itself; nothing is ever fetched, and an encoding that the document
 * claims is not believed where it is not UTF-8 or UTF-16 by its first bytes.
 *
 * Paths are names joined by dots ("instanceState.name"), from a node's children on.
 *
 * Owns:    all nodes and texts live until xml_free.
 * Errors:  ERROR_INVALID with the line, ERROR_LIMIT.
 * Threads: a document does not change once it is parsed.
 */

#include "lib/cleanup.h"
#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    XML_SIZE_MAX = 32 * 1024 * 1024, /* a thousand machines with all their tags are below 8 MiB */
    XML_DEPTH_MAX = 32,              /* EC2's answers have 12 levels at most */
    XML_NODES_MAX = 1024 * 1024,     /* each costs up to 100 bytes */
};

struct xml_node {
    const char *name;
    const char *text; /* never NULL */
    const struct xml_node *first, *next;
};

struct xml;

int xml_parse(const char *text, size_t size, struct xml **ret, struct error *err);
void xml_free(struct xml *document);
DEFINE_CLEANUP_FREE(xml);

const struct xml_node *xml_root(const struct xml *document);

/* The first of that path; NULL if there is none, and for a NULL node. */
const struct xml_node *xml_find(const struct xml_node *node, const char *path);
/* The next sibling of the same name; NULL. */
const struct xml_node *xml_another(const struct xml_node *node);
/* The text there; "" when there is no such element. */
const char *xml_text(const struct xml_node *node, const char *path);
