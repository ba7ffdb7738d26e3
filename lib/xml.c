#include "lib/xml.h"

#include "lib/buffer.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <libxml/parser.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct element {
    struct xml_node node;
    struct element *above, *last; /* while it is read */
    struct buffer text;
};

struct xml {
    struct element root; /* of which the document's element is the only child */
};

struct reading {
    xmlParserCtxtPtr parser;
    struct xml *document;
    struct element *at;
    size_t depth, count;
    struct error *err;
    bool faulted;
};

/* ---- the tree ---- */

static void element_free(struct element *e) {
    for (const struct xml_node *child = e->node.first; child;) {
        const struct xml_node *next = child->next;
        element_free((struct element *)(uintptr_t)child); /* nodes are heads of elements */
        child = next;
    }
    free((char *)(uintptr_t)e->node.name);
    buffer_deinit(&e->text);
    free(e);
}

static struct element *element_new(struct element *above, const char *name) {
    struct element *e = mem_new(struct element);
    e->node.name = text_dup(name);
    e->node.text = "";
    e->above = above;
    buffer_init(&e->text, XML_SIZE_MAX);
    if (above->last)
        above->last->node.next = &e->node;
    else
        above->node.first = &e->node;
    above->last = e;
    return e;
}

void xml_free(struct xml *document) {
    element_free(&document->root); /* the head of the document */
}

/* ---- what libxml2 tells ---- */

static void fault(struct reading *r, enum error_kind kind, const char *text) {
    if (!r->faulted)
        error_set(r->err, kind, "%s", text);
    r->faulted = true;
    xmlStopParser(r->parser);
}

static void on_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int namespaces, const xmlChar **spaces, int attributes, int defaulted,
                     const xmlChar **values) {
    (void)prefix, (void)uri, (void)namespaces, (void)spaces, (void)attributes, (void)defaulted;
    (void)values;
    struct reading *r = arg;
    if (r->faulted)
        return;
    if (++r->depth > XML_DEPTH_MAX) {
        fault(r, ERROR_LIMIT, "the XML is too deep");
        return;
    }
    if (++r->count > XML_NODES_MAX) {
        fault(r, ERROR_LIMIT, "the XML has too many elements");
        return;
    }
    r->at = element_new(r->at, (const char *)name);
}

static void on_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri) {
    (void)name, (void)prefix, (void)uri;
    struct reading *r = arg;
    if (r->faulted || r->depth == 0)
        return;
    r->at->node.text = buffer_string(&r->at->text);
    r->at = r->at->above;
    r->depth--;
}

static void on_text(void *arg, const xmlChar *text, int size) {
    struct reading *r = arg;
    if (!r->faulted && r->depth > 0 && !r->at->node.first)
        buffer_append(&r->at->text, text, (size_t)size);
}

static void on_dtd(void *arg, const xmlChar *name, const xmlChar *id, const xmlChar *uri) {
    (void)name, (void)id, (void)uri;
    fault(arg, ERROR_INVALID, "the XML has a document type, which may define anything");
}

static void on_error(void *arg, xmlErrorPtr error) {
    struct reading *r = arg;
    char shown[200];
    if (r->faulted || error->level == XML_ERR_WARNING || error->level == XML_ERR_NONE)
        return;
    cleanup_free char *text = text_dup(error->message ? error->message : "it is broken");
    text[strcspn(text, "\r\n")] = '\0';
    error_set(r->err, ERROR_INVALID, "the XML is broken in line %d: %s", error->line,
              text_safe(text, shown, sizeof shown));
    r->faulted = true;
}

/* ---- the whole ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start(void) {
    xmlInitParser();
}

static int read_all(struct reading *r, const char *text, size_t size) {
    xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC,
                         .startElementNs = on_start,
                         .endElementNs = on_end,
                         .characters = on_text,
                         .cdataBlock = on_text,
                         .internalSubset = on_dtd,
                         .serror = on_error};
    r->parser = xmlCreatePushParserCtxt(&sax, r, NULL, 0, NULL);
    if (!r->parser)
        return error_set(r->err, ERROR_INVALID, "libxml2 makes no parser");
    xmlCtxtUseOptions(r->parser, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC);
    if (xmlParseChunk(r->parser, text, (int)size, 1) != XML_ERR_OK && !r->faulted)
        fault(r, ERROR_INVALID, "the XML is broken");
    xmlFreeDoc(r->parser->myDoc);
    xmlFreeParserCtxt(r->parser);
    if (!r->faulted && !r->document->root.node.first)
        return error_set(r->err, ERROR_INVALID, "the XML has no element");
    return r->faulted ? -1 : 0;
}

int xml_parse(const char *text, size_t size, struct xml **ret, struct error *err) {
    if (size > XML_SIZE_MAX)
        return error_set(err, ERROR_LIMIT, "the XML has more than %d bytes", XML_SIZE_MAX);
    pthread_once(&once, start);
    cleanup(xml_freep) struct xml *document = mem_new(struct xml);
    struct reading r = {.document = document, .at = &document->root, .err = err};
    if (read_all(&r, text, size) < 0)
        return -1;
    *ret = take_ptr(document);
    return 0;
}

/* ---- looking ---- */

const struct xml_node *xml_root(const struct xml *document) {
    return document->root.node.first;
}

static const struct xml_node *named(const struct xml_node *node, const char *name, size_t size) {
    for (; node; node = node->next)
        if (strncmp(node->name, name, size) == 0 && node->name[size] == '\0')
            return node;
    return NULL;
}

const struct xml_node *xml_find(const struct xml_node *node, const char *path) {
    while (node) {
        size_t size = strcspn(path, ".");
        node = named(node->first, path, size);
        if (path[size] == '\0')
            return node;
        path += size + 1;
    }
    return NULL;
}

const struct xml_node *xml_another(const struct xml_node *node) {
    return named(node->next, node->name, strlen(node->name));
}

const char *xml_text(const struct xml_node *node, const char *path) {
    const struct xml_node *found = xml_find(node, path);
    return found ? found->text : "";
}
