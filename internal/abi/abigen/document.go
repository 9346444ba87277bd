package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
)

// document is a JSON object of the ABI, read from the Go struct that both ends use.
type document struct {
	name, doc string
	fields    []property
}

// property is a field of such an object.
type property struct {
	name, typ, doc string
}

// structsOf reads the structs of a Go file with their comments.
func structsOf(file string) ([]document, error) {
	syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var documents []document
	for _, decl := range syntax.Decls {
		general, ok := decl.(*ast.GenDecl)
		if !ok || general.Tok != token.TYPE {
			continue
		}
		spec := general.Specs[0].(*ast.TypeSpec)
		structure, ok := spec.Type.(*ast.StructType)
		if !ok {
			continue
		}
		d := document{name: spec.Name.Name, doc: strings.Join(strings.Fields(general.Doc.Text()), " ")}
		for _, field := range structure.Fields.List {
			tag, err := strconv.Unquote(field.Tag.Value)
			if err != nil {
				return nil, err
			}
			name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			typ := jsonType(field.Type)
			if strings.Contains(options, "string") {
				typ = "string"
			}
			d.fields = append(d.fields, property{name, typ, strings.TrimSpace(field.Comment.Text())})
		}
		documents = append(documents, d)
	}
	return documents, nil
}

// jsonType names the JSON type of a Go type of request.go.
func jsonType(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return jsonType(e.X)
	case *ast.ArrayType:
		return "array of " + jsonType(e.Elt)
	case *ast.MapType:
		return "object, token id to " + jsonType(e.Value)
	case *ast.SelectorExpr: // json.RawMessage
		return "array of objects"
	case *ast.Ident:
		switch e.Name {
		case "string", "bool":
			return e.Name
		case "Bias":
			return "number or null"
		case "int", "int32", "uint32", "uint64", "float32":
			return "number"
		}
		return e.Name
	}
	return "value"
}
