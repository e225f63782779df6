// Swagger UI 5.35.0, from npm's swagger-ui-dist; nothing is asked of anybody outside.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
